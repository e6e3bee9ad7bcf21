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
            before: None,
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
        let mut policies = Policies::of_tests(&policies, &[application]);
        policies.has_several_directories = has_several_directories;
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

#[test]
fn predicates_are_tried_again_when_what_they_ask_about_is_another_and_only_then() {
    let title = Selector::Attribute("user.title eq \"Director\"".parse().unwrap());
    let of_everybody = [Policy::new("directors", Action::Allow, vec![title])];
    let policies = Policies::of_tests(&of_everybody, &[]);
    let mut ann = Somebody::new();
    ann.person.document = r#"{"title": "Director"}"#.into();
    let (profile, person) = (Arc::new(ann.profile.clone()), Arc::new(ann.person.clone()));
    let Principal::Person(asker) = ann.principal(&policies) else { panic!("nobody") };
    // What no trial would say: it is seen whether one was made.
    let planted = Asker { attributes: policies.set.unknown_attributes(), ..asker.clone() };
    assert_ne!(planted.attributes, asker.attributes);
    let before = Standing {
        profile: profile.clone(),
        person: Some(person.clone()),
        member_of: Box::default(),
        groups: Vec::new(),
        doubts: Vec::new(),
        held: Held::default(),
        policies: policies.clone(),
        principal: Principal::Person(planted),
        ended: None,
    };
    let is_kept = |policies: &Policies, profile: &Profile, person: Option<&Person>| {
        let principal = policies.principal(&Facts {
            whose: Whose { id: SessionId::new([1; 32]), provider: "okta", subject: "00u1" },
            profile,
            person,
            member_of: &ann.member_of,
            groups: &["Renamed".to_owned()],
            doubts: &[],
            held: &Held::default(),
            before: Some(&before),
        });
        let Principal::Person(asker) = principal else { panic!("nobody") };
        asker.attributes == policies.set.unknown_attributes()
    };
    let moved = Person { groups: Box::default(), ..Person::clone(&person) };
    assert!(is_kept(&policies, &profile, Some(&moved)), "other groups are no other record");
    let others = [
        Person { document: r#"{"title": "Director"}"#.into(), ..Person::clone(&person) },
        Person { active: false, ..Person::clone(&person) },
        Person { user_name: "eve@corp.example".to_owned(), ..Person::clone(&person) },
        Person { external_id: Some("00u9".to_owned()), ..Person::clone(&person) },
        Person { display_name: Some("Ann".to_owned()), ..Person::clone(&person) },
    ];
    for other in &others {
        assert!(!is_kept(&policies, &profile, Some(other)), "{other:?}");
    }
    assert!(!is_kept(&policies, &Profile::clone(&profile), Some(&person)), "the provider said it anew");
    assert!(!is_kept(&Policies::of_tests(&of_everybody, &[]), &profile, Some(&person)), "other policies");
}
