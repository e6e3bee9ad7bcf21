//! `portcullis policy`: cases, explanations, findings and comparisons, by the program itself on files, and beside a running gateway.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use portcullis_tests::harness::{Settings, World, WorldConfig, binary};
use serde_json::Value;

const CONFIG: &str = r#"[server]
listen = ["127.0.0.1:443"]
auth_host = "auth.corp.example"
inner_listen = "127.0.0.1:9443"

[tls]
self_signed = true

[store]
url = "sqlite:portcullis.db"

[[identity_provider]]
name = "okta"
type = "okta"
issuer = "https://corp.okta.com"
client_id = "portcullis"

[[application]]
name = "wiki"
hosts = ["wiki.corp.example"]
upstreams = ["http://127.0.0.1:8081"]
policies = ["contractors-out", "engineers", "leavers"]

[[application]]
name = "files"
hosts = ["files.corp.example"]
paths = ["/shared/*"]
upstreams = ["http://127.0.0.1:8081"]
policies = ["everybody"]

[[policy]]
name = "contractors-out"
action = "block"
include = [{ group = "Contractors" }]

[[policy]]
name = "engineers"
action = "allow"
include = [{ group = ["Engineering", "Platform"] }, { email_domain = "corp.example" }]
require = [{ ip = "198.51.100.0/24" }]

[[policy]]
name = "leavers"
action = "block"
include = [{ email = "joe@corp.example" }]
require = [{ ip = "198.51.100.0/25" }]

[[policy]]
name = "everybody"
action = "allow"
include = [{ everyone = true }]
"#;

const CASES: &str = r#"config = "config.toml"

[[person]]
name = "engineer"
email = "jane@corp.example"
groups = ["Engineering"]

[[case]]
name = "an engineer in the office"
person = "engineer"
url = "https://wiki.corp.example/a"
ip = "198.51.100.7"
expect = { verdict = "allow", policy = "engineers", rule = "include[0]", reason = "allowed_by_policy" }

[[case]]
name = "an engineer at home"
person = "engineer"
application = "wiki"
expect = { verdict = "deny", policy = "", reason = "no_policy_matched" }

[[case]]
name = "nobody"
nobody = true
url = "https://files.corp.example/shared/x"
expect = { verdict = "deny", reason = "no_identity" }
"#;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("portcullis-policy-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        folder.write("config.toml", CONFIG);
        folder
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn config(&self) -> String {
        self.0.join("config.toml").display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(arguments: &[&str]) -> Output {
    let mut program = Command::new(binary::portcullis());
    // A configuration that takes secrets from the environment is read whole or not at all.
    program.env(Settings::SECRET_VARIABLE, "none").env(Settings::TOKEN_VARIABLE, "none");
    program.arg("policy").args(arguments).output().unwrap()
}

/// What it says to people, after what it was to end with.
fn said(arguments: &[&str], code: i32) -> String {
    let output = run(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn json(arguments: &[&str], code: i32) -> Value {
    serde_json::from_str(&said(&[arguments, &["--json"]].concat(), code)).unwrap()
}

#[test]
fn cases_go_as_expected_or_the_difference_is_shown() {
    let folder = Folder::new("test");
    let cases = folder.write("cases.toml", CASES);
    assert_eq!(said(&["test", &cases], 0), "3 cases of 1 file: 3 as expected, 0 not\n");
    let wrong =
        CASES.replace("verdict = \"deny\", policy = \"\"", "verdict = \"allow\", policy = \"engineers\"");
    let cases = folder.write("cases.toml", &wrong);
    let told = said(&["test", &cases], 1);
    assert_eq!(
        told.lines().skip(1).collect::<Vec<_>>(),
        [
            "  - verdict: allow",
            "  + verdict: deny",
            "    reason: no_policy_matched",
            "  - policy: engineers",
            "  + policy: (none)",
            "    rule: (none)",
            "  how it came about:",
            "    block `contractors-out` does not match: no include entry holds: group = \"Contractors\", had Engineering",
            "    allow `engineers` does not match: require entry 1 ip = \"198.51.100.0/24\", had 192.0.2.1",
            "    block `leavers` does not match: no include entry holds: email = \"joe@corp.example\", had jane@corp.example",
            "",
            "3 cases of 1 file: 2 as expected, 1 not",
        ],
        "{told}"
    );
    assert!(told.starts_with(&format!("FAILED {cases}:15 an engineer at home\n")), "{told}");
    let told = json(&["test", &cases], 1);
    assert_eq!(told[1]["passed"], false);
    assert_eq!(told[1]["got"]["reason"], "no_policy_matched");
    let broken = folder.write(
        "broken.toml",
        "[[case]]\nname = \"a\"\nnobody = true\nurl = \"https://x/\"\nexpect = \"perhaps\"\n",
    );
    let output = run(&["test", &broken]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("line 5: `case.expect`: `perhaps` is unknown"), "{errors}");
}

const EXPLAINED: &str = r#"jane@corp.example asks: GET https://wiki.corp.example/a
application `wiki`, from 192.0.2.9, at 2026-03-02T09:30:00Z
  provider  okta, subject not known
  groups    Engineering
  login     not known at what time, acr not known, amr not known
  record    none in a directory

DENIED
  no_policy_matched: no policy of the application matches, and without one the answer is no.

1. block `contractors-out` does not match: no include entry holds
   include (any must hold)
     1. group = "Contractors"                        no   had Engineering
2. allow `engineers` does not match: require entry 1 does not hold
   include (any must hold)
     1. group = ["Engineering", "Platform"]          yes  had Engineering
     2. email_domain = "corp.example"                yes  had corp.example
   require (all must hold)
     1. ip = "198.51.100.0/24"                       no   had 192.0.2.9
3. block `leavers` does not match: no include entry holds
   include (any must hold)
     1. email = "joe@corp.example"                   no   had jane@corp.example
   require (all must hold)
     1. ip = "198.51.100.0/25"                       no   had 192.0.2.9
"#;

#[test]
fn an_explanation_reads_well_to_somebody_who_has_not_seen_the_code() {
    let folder = Folder::new("explain");
    let config = folder.config();
    let asked = [
        "explain",
        "--config",
        &config,
        "--email",
        "jane@corp.example",
        "--group",
        "Engineering",
        "--url",
        "https://wiki.corp.example/a?secret=1",
        "--ip",
        "192.0.2.9",
        "--time",
        "2026-03-02T09:30:00Z",
    ];
    let told = said(&asked, 0);
    assert_eq!(told, EXPLAINED, "{told}");
    let told = json(&asked, 0);
    assert_eq!(told["decision"]["policies"][1]["rules"][2]["had"][0], "192.0.2.9");
    assert_eq!(told["asked"]["path"], "/a");
    let cases = folder.write("cases.toml", CASES);
    let told = said(&["explain", "--case", &cases, "--name", "nobody"], 0);
    assert!(told.starts_with("== nobody\nnobody asks: GET https://files.corp.example/shared/x\n"), "{told}");
    assert!(told.contains("1. allow `everybody` is about people, and no person asks"), "{told}");
    let output = run(&["explain", "--config", &config, "--nobody", "--url", "https://other.corp.example/"]);
    assert_eq!(output.status.code(), Some(1), "a host of nobody");
}

#[test]
fn findings_have_a_line_and_a_remedy_and_can_be_accepted() {
    let folder = Folder::new("lint");
    let config = folder.config();
    let told = said(&["lint", "--config", &config], 1);
    let wanted = format!(
        "{config}:24: application `files` has `/shared/*`, which covers what is below: `/shared` itself is answered by nobody [below_only]\n    \
         add the folder itself, or write the pattern without what follows it\n\
         {config}:42: policy `leavers` blocks nobody at `wiki`: `engineers` comes before it and lets in all whom it means [swallowed_block]\n    \
         put the block before the other, or `exclude` the same people there\n\
         {config}:48: policy `everybody` lets in everybody who can log in [open_to_everyone]\n    \
         name whom it is for (`group`, `email_domain`), or accept this finding\n"
    );
    assert_eq!(told, wanted, "{told}");
    let accept = ["--accept", "below_only", "--accept", "swallowed_block", "--accept", "open_to_everyone"];
    let told = said(&[&["lint", "--config", &config], &accept[..]].concat(), 0);
    assert_eq!(told, format!("{config}: nothing found\n"));
    let told = json(&["lint", "--config", &config], 1);
    assert_eq!(told[1]["code"], "swallowed_block");
    assert_eq!(told[1]["applications"][0], "wiki");
}

#[test]
fn a_field_that_goes_along_on_a_bypass_is_told() {
    let folder = Folder::new("fields");
    let config = folder.config();
    let text = fs::read_to_string(&config).unwrap();
    let application = "\n[[application]]\nname = \"hooks\"\nhosts = [\"hooks.corp.example\"]\nupstreams = [\"http://127.0.0.1:9\"]\n\
                       policies = [\"hooks\"]\n[application.headers]\n\"X-Zone\" = \"a\"\nFIELD\n\
                       [[policy]]\nname = \"hooks\"\naction = \"bypass\"\ninclude = [{ ip = \"192.0.2.0/24\" }]\n";
    let with = |field: &str| {
        fs::write(&config, format!("{text}{}", application.replace("FIELD", field))).unwrap();
        said(&["lint", "--config", &config], 1)
    };
    let told = with("\"X-Api-Token\" = \"let me in\"");
    assert!(
        told.contains("application `hooks` sends `x-api-token` with requests that a bypass lets pass"),
        "{told}"
    );
    assert!(
        told.contains("[bypass_tells]") && !told.contains("x-zone") && !told.contains("let me in"),
        "{told}"
    );
    assert!(!with("").contains("bypass_tells"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_configurations_are_compared_over_the_directory_and_the_record_beside_a_running_gateway() {
    let world = World::with(WorldConfig {
        change: |settings| settings.extra.push_str("[log.decisions]\nfolder = \"decisions\"\n"),
        ..WorldConfig::default()
    })
    .await;
    let (browser, page) = world.logged_in("engineer@corp.example").await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let old = world.gateway.folder().join("config.toml");
    let text = fs::read_to_string(&old).unwrap();
    assert!(text.contains("group = \"Engineering\""), "{text}");
    let new = world.gateway.folder().join("next.toml");
    fs::write(&new, text.replace("group = \"Engineering\"", "group = \"Design\"")).unwrap();
    let [old, new] = [&old, &new].map(|path: &PathBuf| path.display().to_string());

    let told = json(&["diff", &old, &new, "--all"], 0);
    let wiki =
        told["applications"].as_array().unwrap().iter().find(|it| it["application"] == "wiki").unwrap();
    let lost = wiki["kinds"].as_array().unwrap().iter().find(|kind| kind["direction"] == "lose").unwrap();
    let names: Vec<&str> = lost["people"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert!(names.contains(&"engineer@corp.example"), "{told:#}");
    assert_eq!(lost["count"], names.len());
    let people = said(&["diff", &old, &new], 0);
    assert!(
        people.contains("Assumed, since the directory does not say:") && people.contains("`wiki`: "),
        "{people}"
    );
    let same = said(&["diff", &old, &old], 0);
    assert!(same.contains("In all 0 people gain something and 0 people lose something"), "{same}");

    let explained = said(
        &["explain", "--config", &old, "--person", "engineer@corp.example", "--url", &world.wiki("/x")],
        0,
    );
    assert!(explained.contains("\nALLOWED by policy `"), "{explained}");
    assert!(explained.contains("claims and login are those of the newest session"), "{explained}");

    let record = world.gateway.folder().join("decisions");
    wait_for_a_record(&record).await;
    let told = json(&["diff", &old, &new, "--recorded", &record.display().to_string()], 0);
    assert!(told["asked"].as_u64().unwrap() > 0, "{told:#}");
    let kinds = told["kinds"].as_array().unwrap();
    assert!(
        kinds.iter().any(|kind| kind["direction"] == "lose" && kind["people"][0] == "engineer@corp.example"),
        "{told:#}"
    );
    let answer = browser.fetch(&world.wiki("/whoami")).await.unwrap();
    assert_eq!(answer.status, 200, "the gateway goes on as before");
}

async fn wait_for_a_record(folder: &Path) {
    for _ in 0..600 {
        let files = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        let recorded: String = files.filter_map(|path| fs::read_to_string(path).ok()).collect();
        if recorded.contains("\"verdict\":\"allow\"") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nothing was recorded");
}

/// Each recipe of the guide to policies does what the guide says.
#[test]
fn every_case_of_every_recipe_comes_out_as_the_guide_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let cases = fs::read_dir(root.join("deploy/policies/cases")).unwrap();
    let is_case =
        |path: &PathBuf| path.extension().is_some_and(|it| it == "toml") && !path.ends_with("company.toml");
    let cases: Vec<PathBuf> = cases.map(|entry| entry.unwrap().path()).filter(is_case).collect();
    assert_eq!(
        cases.len(),
        fs::read_dir(root.join("deploy/policies")).unwrap().count() - 1,
        "a recipe without cases"
    );
    let output = Command::new(binary::portcullis()).args(["policy", "test"]).args(&cases).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
