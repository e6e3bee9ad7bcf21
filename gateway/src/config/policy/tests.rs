use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use portcullis_policy::Subject;

use super::super::tests::WHOLE;
use super::super::{Config, ConfigError};
use super::*;

/// The whole configuration with other policies.
fn with(policies: &str) -> Result<Config, Vec<String>> {
    let before = WHOLE.split("[[policy]]").next().unwrap();
    let parsed = Config::parse(&format!("{before}{policies}"), Path::new("/etc/portcullis"));
    parsed.map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn rule(rule: &str) -> Result<Config, Vec<String>> {
    let action = if rule.contains("service") { "service_auth" } else { "allow" };
    with(&format!("[[policy]]\nname = \"engineering\"\naction = \"{action}\"\ninclude = [{rule}]\n"))
}

fn selector(text: &str) -> Selector {
    let config = rule(text).unwrap_or_else(|faults| panic!("{text}: {faults:#?}"));
    let (_, selector) = config.policies.selectors().next().unwrap();
    selector.clone()
}

#[test]
fn every_rule_is_read_with_one_value_or_several() {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let user = |subject: &str| Subject { identity_provider: "okta".to_owned(), subject: subject.to_owned() };
    for (written, meant) in [
        ("{ everyone = true }", Selector::Everyone),
        ("{ group = [\"A\", \"B\"] }", Selector::Group(texts(&["A", "B"]))),
        ("{ group_id = \"00g1\" }", Selector::GroupId(texts(&["00g1"]))),
        ("{ user = \"00u1\" }", Selector::Subject(vec![user("00u1")])),
        (
            "{ user = [\"00u1\", { provider = \"okta\", sub = [\"00u2\", \"00u3\"] }] }",
            Selector::Subject(vec![user("00u1"), user("00u2"), user("00u3")]),
        ),
        ("{ attribute = 'user.title pr' }", Selector::Attribute("user.title pr".parse().unwrap())),
        (
            "{ attribute = ['user.title pr', 'claims.b eq 1 and claims.c eq 2'] }",
            Selector::Attribute("user.title pr or (claims.b eq 1 and claims.c eq 2)".parse().unwrap()),
        ),
        ("{ method = \"GET\" }", Selector::Method(texts(&["GET"]))),
        (
            "{ path = [\"/a/*\", \"/b\"] }",
            Selector::Path(vec!["/a/*".parse().unwrap(), "/b".parse().unwrap()]),
        ),
        ("{ valid_certificate = true }", Selector::ValidCertificate),
        ("{ common_name = \"laptop-7\" }", Selector::CommonName(texts(&["laptop-7"]))),
        ("{ any_service_token = true }", Selector::AnyServiceToken),
        ("{ service_token = \"ci\" }", Selector::ServiceToken(texts(&["ci"]))),
    ] {
        assert_eq!(selector(written), meant, "{written}");
    }
    let window = |text: &str| match selector(text) {
        Selector::TimeWindow(window) => window.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        window(
            "{ time = { days = [\"mon\", \"fri\"], from = \"08:00\", to = \"18:30\", zone = \"+02:00\" } }"
        ),
        "mon,fri 08:00-18:30 +02:00"
    );
    assert_eq!(window("{ time = { days = \"sat\" } }"), "sat 00:00-24:00 UTC");
}

#[test]
fn what_is_wrong_with_a_rule_is_told_at_its_line() {
    for (written, told) in [
        ("{ group = \"A\", email = \"a@corp.example\" }", "a rule has exactly one of: everyone, email"),
        ("\"Engineering\"", "a rule is a table with one key"),
        ("{ claim = \"role\" }", "`claims.` in front"),
        ("{ attribute = 'user.title' }", "at character 11"),
        ("{ attribute = 'department eq \"x\"' }", "`user.` or `claims.`"),
        ("{ attribute = [] }", "the list is empty"),
        ("{ country = \"DE\" }", "name a file in `[country]`"),
        ("{ time = { from = \"8\" } }", "`8` is no time of day"),
        ("{ time = { days = [\"Monday\"] } }", "`Monday` is no day"),
        ("{ time = { from = \"08:00\", to = \"08:00\" } }", "it ends when it begins"),
        ("{ time = [{ from = \"08:00\" }] }", "must be one table"),
        ("{ time = { from = \"08:00\", until = \"09:00\" } }", "unknown key"),
        ("{ path = \"admin\" }", "`admin`"),
        ("{ rule_group = \"nobody\" }", "no rule group is named `nobody`"),
        ("{ external = \"risk\" }", "no external evaluation is named `risk`"),
        ("{ user = { provider = \"google\", sub = \"1\" } }", "no identity provider is named `google`"),
        ("{ login_method = \"google\" }", "no identity provider is named `google`"),
        ("{ ip = \"10.0.0.0/33\" }", "is no address or network"),
        ("{ method = \"get\" }", "`get` is no method"),
    ] {
        let faults = rule(written).err().unwrap_or_else(|| panic!("{written} is no fault"));
        assert!(faults.iter().any(|fault| fault.contains(told)), "{written}: {faults:#?}");
        assert!(faults.iter().all(|fault| fault.contains("line 26")), "{written}: {faults:#?}");
    }
}

#[test]
fn faults_of_all_policies_and_rule_groups_are_told_together() {
    let faults = with(
        "[[policy]]\nname = \"engineering\"\naction = \"bypass\"\ninclude = [{ path = \"/a\" },\n  { group = \"A\" }]\n\
         [[policy]]\nname = \"x\"\naction = \"allow\"\ninclude = [{ everyone = true }]\npurpose = \"why\"\n\
         approval = { approvers = [], longest = \"1y\" }\nreport_only = 1\n\
         [[rule_group]]\nname = \"one\"\ninclude = [{ rule_group = \"two\" }]\n\
         [[rule_group]]\nname = \"two\"\ninclude = [{ rule_group = \"one\" }]\n",
    )
    .err()
    .unwrap();
    for (line, told) in [
        (27, "`policy.include`: policy `engineering`, include entry 2: a `bypass` asks nobody"),
        (32, "`policy.purpose`: is a string, must be true or false"),
        (33, "`1y` is no duration"),
        (34, "is a integer, must be true or false"),
        (35, "circle: `one` -> `two` -> `one`"),
    ] {
        let is_it = |fault: &&String| fault.starts_with(&format!("line {line}: ")) && fault.contains(told);
        assert!(faults.iter().any(|fault| is_it(&fault)), "line {line}, {told}: {faults:#?}");
    }
}

#[test]
fn what_a_policy_asks_beside_its_rules_is_read() {
    let config = with(
        "[[policy]]\nname = \"engineering\"\naction = \"allow\"\ninclude = [{ everyone = true }]\n\
         purpose = { prompt = \"Which case?\" }\nreport_only = true\n\
         approval = { approvers = [{ group = \"Security\" }], longest = \"4h\" }\n",
    )
    .unwrap();
    let (id, _) = config.policies.selectors().next().unwrap();
    let source = config.policies.source(id.unwrap()).unwrap();
    assert!(source.purpose_required && source.report_only);
    assert_eq!(source.approval.as_ref().unwrap().longest.as_secs(), 4 * 3_600);
    assert_eq!(config.purpose_prompts["engineering"], "Which case?");
    let named: Vec<String> = config.mentions.iter().map(|it| format!("{} by {it}", it.named)).collect();
    assert_eq!(named, ["the group `Security` by policy `engineering`, line 29"]);
    for prompt in ["", "x".repeat(beyond::MAX_PROMPT_CHARS + 1).as_str()] {
        let wrong = format!(
            "[[policy]]\nname = \"engineering\"\naction = \"allow\"\ninclude = [{{ everyone = true }}]\n\
             purpose = {{ prompt = \"{prompt}\" }}\n"
        );
        assert!(with(&wrong).is_err(), "{prompt}");
    }
}

/// A folder of one test's own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("portcullis-files-{}-{number}", std::process::id()));
        std::fs::create_dir_all(folder.join("policies")).unwrap();
        let folder = Self(folder);
        files.iter().for_each(|(name, text)| folder.write(name, text));
        folder
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.0.join("config.toml"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const ENGINEERING: &str =
    "[[policy]]\nname = \"engineering\"\naction = \"allow\"\ninclude = [{ rule_group = \"staff\" }]\n";
const STAFF: &str = "[[rule_group]]\nname = \"staff\"\ninclude = [{ group = \"Staff\" }]\n";

fn configuration(files: &str) -> String {
    format!("policy_files = {files}\n{}", WHOLE.split("[[policy]]").next().unwrap())
}

#[test]
fn policies_stand_in_files_of_their_own_and_faults_name_these() {
    let main = configuration("\"policies/*.toml\"");
    let folder = Folder::new(&[
        ("config.toml", &main),
        ("policies/b.toml", ENGINEERING),
        ("policies/a.toml", STAFF),
        ("policies/.c.toml", "no policy"),
        ("policies/notes.md", "no policy"),
    ]);
    let config = folder.load().unwrap();
    assert!(config.policies.rule_group("staff").is_some());
    let files = ["policies/a.toml", "policies/b.toml"].map(|name| folder.0.join(name));
    assert_eq!(config.policy_files.found(), files);
    assert!(files.iter().all(|file| config.files.contains(file)), "a change of one is a change of the whole");
    let mention = config.mentions[0].to_string();
    assert_eq!(mention, format!("rule group `staff` in `{}`, line 3", files[0].display()));

    folder.write("policies/d.toml", "[server]\n");
    folder.write("policies/a.toml", &STAFF.replace("group = \"Staff\"", "grup = \"Staff\""));
    let told = folder.load().err().unwrap().to_string();
    for (name, fault) in [
        ("policies/a.toml", "line 3: `rule_group.include.grup`: unknown key; did you mean `group`?"),
        ("policies/d.toml", "line 1: `server`: unknown key; known here: policy, rule_group"),
    ] {
        let wanted = format!("\n  {}: {fault}", folder.0.join(name).display());
        assert!(told.contains(&wanted), "{wanted} in {told}");
    }
    assert!(
        !told.contains("no rule group is named"),
        "what could not be read is not unknown besides: {told}"
    );
}

#[test]
fn files_that_are_not_there_or_are_too_many_are_faults() {
    let folder = Folder::new(&[("policies/a.toml", STAFF), ("policies/b.toml", ENGINEERING)]);
    for (files, told) in [
        ("[\"policies/*.tml\"]", "no file has a name like this"),
        ("[\"none/*.toml\"]", "No such file"),
        ("[\"policies/a.toml\", \"policies/c.toml\"]", "cannot read `"),
        ("[\"policies/a.toml\", \"policies/*.toml\"]", "a second time"),
        ("[1]", "must be a string"),
    ] {
        folder.write("config.toml", &configuration(files));
        let fault = folder.load().err().unwrap_or_else(|| panic!("{files}")).to_string();
        assert!(fault.contains(told), "{files}: {fault}");
    }
    std::fs::remove_file(folder.0.join("policies/a.toml")).unwrap();
    std::fs::remove_file(folder.0.join("policies/b.toml")).unwrap();
    for number in 0..=files::MAX_POLICY_FILES {
        folder.write(&format!("policies/{number}.toml"), "");
    }
    folder.write("config.toml", &configuration("\"policies/*.toml\""));
    assert!(folder.load().err().unwrap().to_string().contains("names more than 256 files"));
    let large = std::fs::File::create(folder.0.join("policies/large.txt")).unwrap();
    large.set_len(files::MAX_POLICY_FILE_BYTES + 1).unwrap();
    folder.write("config.toml", &configuration("\"policies/large.txt\""));
    assert!(folder.load().err().unwrap().to_string().contains("larger than"));
}

/// The names behind `[[policy]]`, in the order of the file.
fn policy_names(text: &str) -> Vec<&str> {
    let after = text.split("[[policy]]\nname = \"").skip(1);
    after.filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_recipe_of_the_guide_is_whole_and_tried() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let guide = std::fs::read_to_string(deploy.join("policies.md")).unwrap();
    let cases = deploy.join("policies/cases");
    let company = Config::load(&cases.join("company.toml")).unwrap_or_else(|fault| panic!("{fault}"));
    let recipes = company.policy_files.found();
    assert!(recipes.len() >= 12, "{recipes:?}");
    for recipe in recipes {
        let name = recipe.file_stem().unwrap().to_str().unwrap();
        assert!(guide.contains(&format!("`deploy/policies/{name}.toml`")), "{name} is not in the guide");
        let tried = std::fs::read_to_string(cases.join(format!("{name}.toml"))).unwrap();
        assert!(tried.contains("[[case]]") && tried.contains("config = \"company.toml\""), "{name}");
        let application = company.applications.iter().find(|it| *it.name == *name).unwrap();
        let text = std::fs::read_to_string(&recipe).unwrap();
        assert_eq!(
            application.policies,
            policy_names(&text),
            "{name}: all of them, in the order of the file"
        );
    }
}
