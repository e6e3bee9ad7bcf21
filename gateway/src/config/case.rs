//! A file of test cases for policies: somebody, a request, and what is to become of it. Read like the configuration, every fault at once;
//! whether the policies do as the cases say is left to `cli::policy`.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_policy::{CountryCode, Reason};
use serde_json::{Map, Value as Json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::document::{self, Fault, Faults, Section, Value};

/// The largest file that is read, in bytes.
pub(super) const MAX_CASE_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// One file.
#[derive(Debug)]
pub struct CaseFile {
    /// The configuration that the cases are about, if the file names one.
    pub config: Option<PathBuf>,
    /// The cases in their order.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it is called.
    pub name: String,
    /// Where it begins.
    pub line: usize,
    /// Who asks.
    pub who: Who,
    /// For what.
    pub request: Asked,
    /// What is to become of it.
    pub expected: Expected,
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Who {
    /// Somebody who needs not exist.
    Invented(Box<Invented>),
    /// Somebody of a directory, by what they are called.
    Real(String),
    /// A service, by the name of its token.
    Service(String),
    /// Nobody who is known.
    Nobody,
}

/// Somebody who needs not exist. What is left out is not known of them.
#[derive(Debug, Clone, Default)]
pub struct Invented {
    /// The verified e-mail address.
    pub email: Option<String>,
    /// `sub` at the provider.
    pub subject: Option<String>,
    /// The identity provider of the login; the only one there is, when left out.
    pub provider: Option<String>,
    /// Names of groups.
    pub groups: Vec<String>,
    /// Ids of groups of the record in the directory.
    pub group_ids: Option<Vec<String>>,
    /// The record in the directory; there is none without this and without `group_ids`.
    pub user: Option<Map<String, Json>>,
    /// The claims of the ID token.
    pub claims: Map<String, Json>,
    /// The context of the login.
    pub acr: Option<String>,
    /// Its methods.
    pub amr: Option<Vec<String>>,
    /// How long ago it was.
    pub login_age: Option<Duration>,
}

/// A request, and what others say of it.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Its address; or else an application and a path.
    pub url: Option<String>,
    /// The application's name.
    pub application: Option<String>,
    /// The path on one of its hosts.
    pub path: Option<String>,
    /// The method; GET when left out.
    pub method: Option<String>,
    /// From where.
    pub ip: Option<IpAddr>,
    /// In which country that is.
    pub country: Option<CountryCode>,
    /// What the client showed in its handshake; not known when left out.
    pub certificate: Option<Shown>,
    /// When, in unix seconds.
    pub time: Option<i64>,
    /// The person has said for what they need the application.
    pub purpose: bool,
    /// The policies that somebody granted.
    pub granted: Vec<String>,
    /// What external evaluations say: yes, no, or nothing that counts.
    pub answers: Vec<(String, Option<bool>)>,
}

/// What a client showed in its handshake.
#[derive(Debug, Clone)]
pub enum Shown {
    /// No certificate.
    Nothing,
    /// One that the host accepts, and its common name.
    Certificate(Option<String>),
}

/// What is to become of a request. What is left out may be anything.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// `allow` or `deny`.
    pub verdict: String,
    /// The policy that decides; the empty text for none.
    pub policy: Option<String>,
    /// Its rule, such as `include[0]`.
    pub rule: Option<String>,
    /// The word for why.
    pub reason: Option<String>,
}

/// Why there are no cases.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// The file could not be read.
    #[error("cannot read the file of cases `{}`", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is too large.
    #[error("`{}` is larger than {MAX_CASE_FILE_BYTES} bytes", .0.display())]
    TooLarge(PathBuf),
    /// It was read and is wrong.
    #[error("{}", Report { file, faults })]
    Faults {
        /// The file.
        file: PathBuf,
        /// All that is wrong with it.
        faults: Vec<Fault>,
    },
}

struct Report<'a> {
    file: &'a Path,
    faults: &'a [Fault],
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.faults.len();
        let noun = if count == 1 { "fault" } else { "faults" };
        write!(f, "{}: {count} {noun}", self.file.display())?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {}: {fault}", self.file.display()))
    }
}

impl CaseFile {
    /// Reads a file. A configuration that it names is looked for from the folder it lies in.
    ///
    /// # Errors
    /// [`CaseError`], with every fault.
    pub fn load(file: &Path) -> Result<Self, CaseError> {
        let fault = |source| CaseError::Read { file: file.to_owned(), source };
        if std::fs::metadata(file).map_err(fault)?.len() > MAX_CASE_FILE_BYTES {
            return Err(CaseError::TooLarge(file.to_owned()));
        }
        let text = std::fs::read_to_string(file).map_err(fault)?;
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        Self::parse(&text, &folder).map_err(|faults| CaseError::Faults { file: file.to_owned(), faults })
    }

    pub(crate) fn parse(text: &str, folder: &Path) -> Result<Self, Vec<Fault>> {
        let faults = Faults::new(text);
        let table = document::parse(&faults);
        let read = read(Section::root(&table, &faults), text, folder);
        let list = faults.into_sorted();
        if list.is_empty() { Ok(read) } else { Err(list) }
    }
}

fn read(mut root: Section<'_, '_>, text: &str, folder: &Path) -> CaseFile {
    let config = root.optional("config").and_then(|value| value.string().map(|file| folder.join(file)));
    let mut persons: Vec<(String, Invented)> = Vec::new();
    for mut section in root.sections("person") {
        let name = section.required("name", "cases refer to it").and_then(|value| value.string());
        let invented = read_invented(&mut section);
        if let Some(name) = name {
            if persons.iter().any(|(other, _)| other == name) {
                section.fault(format!("a second person named `{name}`"));
            }
            persons.push((name.to_owned(), invented));
        }
        section.finish();
    }
    let mut cases = Vec::new();
    let sections = root.sections("case");
    if sections.is_empty() {
        root.fault("there is no `[[case]]`");
    }
    for mut section in sections {
        let before = text.as_bytes().iter().take(section.span().start);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        cases.extend(read_case(&mut section, &persons, line));
        section.finish();
    }
    root.finish();
    CaseFile { config, cases }
}

fn read_case(section: &mut Section<'_, '_>, persons: &[(String, Invented)], line: usize) -> Option<Case> {
    let name = section.required("name", "by which a failure is told").and_then(|value| value.string());
    let who = read_who(section, persons);
    let request = read_request(section);
    let expected = section.required("expect", EXPECT).and_then(|value| read_expected(&value));
    Some(Case { name: name?.to_owned(), line, who: who?, request, expected: expected? })
}

fn read_who(section: &mut Section<'_, '_>, persons: &[(String, Invented)]) -> Option<Who> {
    let invented = section.optional("person").map(|value| {
        if let Some(mut table) = value.table() {
            let invented = read_invented(&mut table);
            table.finish();
            return Some(Who::Invented(Box::new(invented)));
        }
        let name = value.string()?;
        let found = persons.iter().find(|(other, _)| other == name);
        if found.is_none() {
            value.fault(format!("no `[[person]]` is named `{name}`; `real` names one of the directory"));
        }
        found.map(|(_, invented)| Who::Invented(Box::new(invented.clone())))
    });
    let text = |value: Value<'_, '_>| value.string().map(str::to_owned);
    let real = section.optional("real").map(|value| text(value).map(Who::Real));
    let service = section.optional("service").map(|value| text(value).map(Who::Service));
    let nobody =
        section.optional("nobody").map(|value| value.boolean().filter(|it| *it).map(|_| Who::Nobody));
    let mut given: Vec<Option<Who>> = [invented, real, service, nobody].into_iter().flatten().collect();
    if given.len() != 1 {
        section.fault("a case has exactly one of: person, real, service, nobody = true");
        return None;
    }
    given.pop().flatten()
}

fn read_invented(section: &mut Section<'_, '_>) -> Invented {
    let mut text = |key| section.optional(key).and_then(|value| value.string().map(str::to_owned));
    let (email, subject, provider, acr) = (text("email"), text("subject"), text("provider"), text("acr"));
    let mut list = |key| section.optional(key).map(|value| value.texts());
    let (groups, group_ids, amr) = (list("groups"), list("group_ids"), list("amr"));
    let mut table = |key| section.optional(key).and_then(|value| json_table(&value));
    let (user, claims) = (table("user"), table("claims"));
    let login_age = section.optional("login_age").and_then(|value| value.duration());
    Invented {
        email,
        subject,
        provider,
        groups: groups.unwrap_or_default(),
        group_ids,
        user,
        claims: claims.unwrap_or_default(),
        acr,
        amr,
        login_age,
    }
}

fn json_table(value: &Value<'_, '_>) -> Option<Map<String, Json>> {
    match value.json() {
        Json::Object(map) => Some(map),
        _ => {
            value.fault("must be a table, such as { department = \"Finance\" }");
            None
        }
    }
}

fn read_request(section: &mut Section<'_, '_>) -> Asked {
    let mut text = |key| section.optional(key).and_then(|value| value.string().map(str::to_owned));
    let (url, application) = (text("url"), text("application"));
    let (path, method) = (text("path"), text("method"));
    if url.is_some() == application.is_some() || (url.is_some() && path.is_some()) {
        section.fault("a case has a `url`, or an `application` and perhaps a `path`");
    }
    let ip = section.optional("ip").and_then(|value| value.parsed());
    let country = section.optional("country").and_then(|value| value.parsed());
    let certificate = section.optional("certificate").and_then(|value| read_certificate(&value));
    let time = section.optional("time").and_then(|value| read_time(&value));
    let purpose = section.optional("purpose").and_then(|value| value.boolean()).unwrap_or(false);
    let granted = section.optional("granted").map(|value| value.texts()).unwrap_or_default();
    let answers = section.optional("external").map(|value| read_answers(&value)).unwrap_or_default();
    Asked { url, application, path, method, ip, country, certificate, time, purpose, granted, answers }
}

fn read_certificate(value: &Value<'_, '_>) -> Option<Shown> {
    if let Some(mut section) = value.table() {
        let name = section.required("common_name", "the name in the certificate").and_then(|it| it.string());
        section.finish();
        return Some(Shown::Certificate(Some(name?.to_owned())));
    }
    match value.string()? {
        "none" => Some(Shown::Nothing),
        "valid" => Some(Shown::Certificate(None)),
        _ => {
            value.fault("must be \"none\", \"valid\" or { common_name = \"...\" }");
            None
        }
    }
}

fn read_time(value: &Value<'_, '_>) -> Option<i64> {
    let text = value.string()?;
    let read = moment(text);
    if read.is_none() {
        value.fault(format!("`{text}` is no time, such as \"2026-03-02T09:30:00Z\""));
    }
    read
}

/// A time of RFC 3339, in unix seconds.
pub(crate) fn moment(text: &str) -> Option<i64> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

fn read_answers(value: &Value<'_, '_>) -> Vec<(String, Option<bool>)> {
    let Some(section) = value.section_or("must be a table such as { device = \"yes\" }") else {
        return Vec::new();
    };
    let read = |(name, value): (&str, Value<'_, '_>)| {
        Some((
            name.to_owned(),
            answer(value.string()?, || {
                value.fault("must be \"yes\", \"no\" or \"nothing\"");
            })?,
        ))
    };
    section.entries().into_iter().filter_map(read).collect()
}

/// What an evaluation says, in a word.
pub(crate) fn answer(word: &str, otherwise: impl FnOnce()) -> Option<Option<bool>> {
    match word {
        "yes" => Some(Some(true)),
        "no" => Some(Some(false)),
        "nothing" => Some(None),
        _ => {
            otherwise();
            None
        }
    }
}

const EXPECT: &str = "\"allow\", \"deny\" or { verdict = \"deny\", policy = \"...\", reason = \"...\" }";

fn read_expected(value: &Value<'_, '_>) -> Option<Expected> {
    let verdict = |value: &Value<'_, '_>| {
        let word = value.string()?;
        if !matches!(word, "allow" | "deny") {
            value.fault(format!("`{word}` is unknown: \"allow\" or \"deny\""));
            return None;
        }
        Some(word.to_owned())
    };
    let Some(mut section) = value.table() else {
        return Some(Expected { verdict: verdict(value)?, ..Expected::default() });
    };
    let found = section.required("verdict", "\"allow\" or \"deny\"").and_then(|value| verdict(&value));
    let mut text = |key| section.optional(key).and_then(|value| value.string().map(str::to_owned));
    let (policy, rule) = (text("policy"), text("rule"));
    let reason = section.optional("reason").and_then(|value| {
        let word = value.string()?;
        let known = Reason::ALL.iter().any(|reason| reason.as_str() == word);
        if !known {
            let all: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
            value.fault(format!("`{word}` is no reason; there are: {}", all.join(", ")));
        }
        known.then(|| word.to_owned())
    });
    section.finish();
    Some(Expected { verdict: found?, policy, rule, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
        config = "../config.toml"

        [[person]]
        name = "engineer"
        email = "jane@corp.example"
        groups = ["Engineering"]
        user = { department = "Finance", active = true, level = -3, roles = [{ value = "Admin" }] }
        claims.temporary = false
        amr = ["pwd", "mfa"]
        login_age = "5m"

        [[case]]
        name = "in"
        person = "engineer"
        url = "https://wiki.corp.example/a"
        ip = "192.0.2.7"
        time = "2026-03-02T09:30:00+01:00"
        certificate = { common_name = "laptop" }
        external = { device = "yes" }
        expect = "allow"

        [[case]]
        name = "out"
        nobody = true
        application = "wiki"
        path = "/x"
        expect = { verdict = "deny", reason = "no_identity" }
    "#;

    #[test]
    fn a_file_is_read_whole() {
        let file = CaseFile::parse(WHOLE, Path::new("/etc/portcullis/cases")).unwrap();
        assert_eq!(file.config.as_deref(), Some(Path::new("/etc/portcullis/cases/../config.toml")));
        let [first, second] = &file.cases[..] else { panic!("{file:?}") };
        let Who::Invented(jane) = &first.who else { panic!("{first:?}") };
        assert_eq!(
            Json::Object(jane.user.clone().unwrap()),
            serde_json::json!({"department": "Finance", "active": true, "level": -3, "roles": [{"value": "Admin"}]})
        );
        assert_eq!(jane.claims["temporary"], false);
        assert_eq!((first.line, first.request.time), (13, Some(1_772_440_200)));
        assert_eq!(first.request.answers, [("device".to_owned(), Some(true))]);
        assert!(matches!(second.who, Who::Nobody));
        assert_eq!(second.expected.reason.as_deref(), Some("no_identity"));
    }

    #[test]
    fn a_file_over_the_limit_is_not_read() {
        let file = std::env::temp_dir().join(format!("portcullis-cases-{}.toml", std::process::id()));
        let whole = format!("{WHOLE}#");
        let padding = usize::try_from(MAX_CASE_FILE_BYTES).unwrap() - whole.len();
        std::fs::write(&file, format!("{whole}{}", " ".repeat(padding))).unwrap();
        assert!(CaseFile::load(&file).is_ok());
        std::fs::write(&file, format!("{whole}{}", " ".repeat(padding + 1))).unwrap();
        assert!(matches!(CaseFile::load(&file), Err(CaseError::TooLarge(_))));
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        let faults = |text: &str| {
            let faults = CaseFile::parse(text, Path::new("")).unwrap_err();
            faults.iter().map(|fault| (fault.line, fault.key.clone())).collect::<Vec<_>>()
        };
        let case = |lines: &str| format!("[[case]]\nname = \"a\"\n{lines}");
        let key = |line, key: &str| (line, key.to_owned());
        let sound = "url = \"https://a.example/\"\nnobody = true\nexpect = \"allow\"\n";
        assert!(CaseFile::parse(&case(sound), Path::new("")).is_ok());
        for (lines, wanted) in [
            (
                "person = \"x\"\nurl = \"https://a/\"\nexpect = \"maybe\"",
                vec![key(3, "case.person"), key(5, "case.expect")],
            ),
            ("nobody = true\nreal = \"x\"\nurl = \"u\"\nexpect = \"allow\"", vec![key(1, "case")]),
            ("nobody = true\nexpect = \"allow\"", vec![key(1, "case")]),
            ("nobody = true\nurl = \"u\"\npath = \"/\"\nexpect = \"allow\"", vec![key(1, "case")]),
            (
                "nobody = true\nurl = \"u\"\nexpect = { verdict = \"deny\", reason = \"so\" }",
                vec![key(5, "case.expect.reason")],
            ),
            (
                "nobody = true\nurl = \"u\"\ntime = \"noon\"\nips = \"x\"\nexpect = \"allow\"",
                vec![key(5, "case.time"), key(6, "case.ips")],
            ),
        ] {
            assert_eq!(faults(&case(lines)), wanted, "{lines}");
        }
        assert_eq!(faults(""), [key(1, "")]);
    }
}
