use portcullis_policy::{Action, ApplicationPolicies, Circumstances, Policy, Question, Selector};
use portcullis_store::{GroupId, PersonId, SessionId};

use super::*;

/// Somebody of the directory `corp`, in one group that its client calls `00g1`.
struct Somebody {
    profile: Profile,
    person: Person,
    member_of: Vec<Arc<Group>>,
}

impl Somebody {
    fn new() -> Self {
        let profile = Profile {
            email: None,
            display_name: None,
            groups: Vec::new(),
            claims_json: "{}".to_owned(),
            authenticated_at: 1,
            told_at: 1,
        };
        let person = Person {
            id: PersonId(1),
            scim_id: "p1".to_owned(),
            directory: "corp".into(),
            user_name: "ann@corp.example".to_owned(),
            external_id: None,
            emails: Vec::new(),
            display_name: None,
            active: true,
            groups: Box::new([GroupId(1)]),
            document: "{}".into(),
        };
        let group = Group {
            id: GroupId(1),
            scim_id: "g1".to_owned(),
            directory: "corp".into(),
            display_name: "Admins".to_owned(),
            external_id: Some("00g1".to_owned()),
        };
        Self { profile, person, member_of: vec![Arc::new(group)] }
    }

    fn principal(&self, policies: &Policies) -> Principal {
        policies.principal(&Facts {
            whose: Whose { id: SessionId::new([1; 32]), provider: "okta", subject: "00u1" },
            profile: &self.profile,
            person: Some(&self.person),
            member_of: &self.member_of,
            groups: &[],
            doubts: &[],
            held: &Held::default(),
        })
    }

    /// Whether they may under an allow of everyone and a block of a group, or under an allow of that group alone.
    fn may(&self, action: Action, id: &str, has_several_directories: bool) -> bool {
        let named = Policy::new("named", action, vec![Selector::GroupId(vec![id.to_owned()])]);
        let rest = Policy::new("rest", Action::Allow, vec![Selector::Everyone]);
        let mut policies = vec![named];
        policies.extend((action == Action::Block).then_some(rest));
        let application = ApplicationPolicies {
            application: "site".to_owned(),
            policies: policies.iter().map(|policy| policy.name.clone()).collect(),
            login_methods: Vec::new(),
        };
        let policies = Policies { has_several_directories, ..Policies::of_tests(&policies, &[application]) };
        let question = Question {
            principal: &self.principal(&policies),
            circumstances: &Circumstances::at([192, 0, 2, 1].into(), 10),
            answers: &[],
        };
        policies.set.decide(policies.set.application("site").unwrap(), &question).is_allowed()
    }
}

#[test]
fn what_a_directory_calls_its_group_is_not_taken_for_a_group_of_another() {
    let ann = Somebody::new();
    for (id, of_one, of_several) in [("g1", true, true), ("00g1", true, false), ("corp/00g1", false, true)] {
        assert_eq!(ann.may(Action::Allow, id, false), of_one, "{id}");
        assert_eq!(ann.may(Action::Allow, id, true), of_several, "{id} of several directories");
    }
    assert!(!ann.may(Action::Allow, "partners/00g1", true));
    // A doubt passes no block.
    for id in ["g1", "00g1", "corp/00g1"] {
        assert!(!ann.may(Action::Block, id, true), "{id}");
    }
    assert!(ann.may(Action::Block, "partners/00g1", true));
}
