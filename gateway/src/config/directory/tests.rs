use std::path::Path;

use super::*;
use crate::config::Config;

fn read(lines: &str) -> Result<Directory, Vec<String>> {
    let source = format!(
        r#"
[server]
listen = ["127.0.0.1:8443"]
auth_host = "auth.localhost"
inner_listen = "127.0.0.1:9443"
[tls]
self_signed = true
[store]
url = "sqlite:portcullis.db"
[[identity_provider]]
name = "okta"
type = "okta"
issuer = "http://127.0.0.1:8090"
client_id = "portcullis"
[[directory]]
name = "corp"
identity_provider = "okta"
{lines}
[[application]]
name = "wiki"
hosts = ["wiki.localhost"]
upstreams = ["http://127.0.0.1:8081"]
policies = ["all"]
[[policy]]
name = "all"
action = "allow"
include = [{{ everyone = true }}]
"#
    );
    let parsed = Config::parse(&source, Path::new("/etc/portcullis"));
    let faults = |faults: Vec<crate::config::Fault>| faults.iter().map(ToString::to_string).collect();
    parsed.map(|config| config.directories[0].clone()).map_err(faults)
}

#[test]
fn a_directory_is_read_with_its_rules_or_not_at_all() {
    let plain = read("").unwrap();
    assert_eq!((plain.rules, plain.users, plain.key_header), Default::default());
    let ruled = read(
        r#"unique_identifier = "email"
link_by = ["email", "external_id"]
required_attributes = ["name.givenName", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"]
roles = ["User", "Admin"]
key_header = "X-Scim-Key"
on_group_change = "reauthenticate""#,
    )
    .unwrap();
    assert_eq!((ruled.users.unique_by, ruled.rules.unique_by), (UniqueBy::Email, UniqueBy::Email));
    assert_eq!(ruled.rules.link_by, LinkBy { external_id: true, email: true, user_name: false });
    assert_eq!(ruled.rules.on_group_change, OnGroupChange::Reauthenticate);
    assert_eq!((ruled.users.required.len(), ruled.users.roles.len()), (2, 2));
    assert_eq!(ruled.key_header.unwrap(), "x-scim-key");
    let many = |what: &str, most: usize| format!("{what} = [{}]", vec!["\"x\""; most + 1].join(", "));
    for (lines, words) in [
        ("unique_identifier = \"name\"", "`name` is none of \"user_name\", \"email\", \"external_id\""),
        ("on_group_change = \"drop\"", "`drop` is none of"),
        ("link_by = []", "no deactivation would end any session"),
        ("link_by = [\"email\", \"email\"]", "is listed twice"),
        ("link_by = [\"phone\"]", "`phone` is none of"),
        ("required_attributes = [\"a b\"]", "an attribute is named like"),
        ("required_attributes = [\"emails[type pr]\"]", "without brackets"),
        ("roles = []", "needs at least one role"),
        ("roles = [\"\"]", "of 1 to 256 bytes"),
        ("key_header = \"a b\"", "no name of a header field"),
        ("key_header = \"Cookie\"", "means something else"),
        (&many("roles", MAX_ROLES), "at most 256 roles"),
        (&many("required_attributes", MAX_REQUIRED), "at most 64 attributes"),
    ] {
        let faults = read(lines).unwrap_err().concat();
        assert!(faults.contains(words), "{lines}: {faults}");
    }
}
