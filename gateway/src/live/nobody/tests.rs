use portcullis_policy::{
    Action, ApplicationPolicies, PathPattern, Policy, Selector, TimeWindow, Weekday, Zone,
};
use portcullis_store::SessionId;
use tokio::net::{TcpListener, TcpStream};

use super::super::{Life, Live, NewPassage, Passage};
use super::*;
use crate::circumstances::{Shown, Situation};
use crate::socket::{Cutter, Descriptor};

fn path(text: &str) -> Selector {
    Selector::Path(vec![text.parse::<PathPattern>().unwrap()])
}

fn policies(include: Vec<Selector>) -> Policies {
    let application = ApplicationPolicies {
        application: "site".to_owned(),
        policies: vec!["public".to_owned()],
        login_methods: Vec::new(),
    };
    Policies::of_tests(&[Policy::new("public", Action::Bypass, include)], &[application])
}

struct Open {
    live: Live,
    passage: Arc<Passage>,
    client: Arc<Cutter>,
    _near: Arc<Descriptor>,
}

impl Open {
    /// Something that nobody has open at `/hooks/x`, let in at this moment.
    async fn at(policies: Policies, now: i64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let near = Arc::new(Descriptor::from(near));
        let client = Arc::new(Cutter::of(&near).unwrap());
        let address = [192, 0, 2, 1].into();
        let situation =
            Situation { client_ip: address, asked: Some(("GET", "/hooks/x")), shown: &Shown::Nothing };
        let application = policies.set.application("site").unwrap();
        let decision = situation.put(&policies, application, now, |circumstances| {
            policies.set.bypasses(application, circumstances).expect("a bypass")
        });
        let live = Live::new(policies.clone());
        let passage = live.nobody(address).unwrap().open_passage(NewPassage {
            owner: SessionId::new([0; 32]),
            application: &"site".into(),
            situation: &situation,
            class: situation.class(&policies, application),
            life: Life::ENDLESS,
            longest: None,
            client: &client,
        });
        passage.decide_again_before(policies.lasts(&decision, Life::ENDLESS));
        Self { live, passage, client, _near: near }
    }

    fn adopt(&self, policies: &Policies) -> Cuts {
        let mut later = policies.clone();
        later.generation = 2;
        self.live.adopt(later, |_| None, now())
    }
}

#[tokio::test]
async fn nobodys_streams_end_with_the_hour_and_the_policy() {
    let first_hour = TimeWindow::new(
        &[Weekday::Thursday],
        "00:00".parse().unwrap(),
        "01:00".parse().unwrap(),
        Zone::default(),
    );
    let open = Open::at(policies(vec![Selector::TimeWindow(first_hour.unwrap())]), 10).await;
    assert_eq!(open.live.drop_run_out_without_login(3_599), Cuts(0));
    assert!(!open.passage.is_dropped());
    assert_eq!(open.live.drop_run_out_without_login(3_600), Cuts(1));
    assert!(open.passage.is_dropped());

    let open = Open::at(policies(vec![Selector::Everyone]), 10).await;
    assert_eq!(open.adopt(&policies(vec![Selector::Everyone])), Cuts(0));
    assert_eq!(open.adopt(&policies(vec![path("/other")])), Cuts(1));
}

#[tokio::test]
async fn what_other_rules_ask_of_a_request_that_is_over_is_not_known() {
    let open = Open::at(policies(vec![path("/hooks/*")]), 10).await;
    let network = Selector::Ip(vec!["192.0.2.0/24".parse().unwrap()]);
    assert_eq!(open.adopt(&policies(vec![path("/hooks/*"), network.clone()])), Cuts(0), "the same is asked");
    // The passage may carry requests that the new rules would tell apart.
    assert_eq!(open.adopt(&policies(vec![path("/hooks")])), Cuts(1));
    let open = Open::at(policies(vec![Selector::Everyone]), 10).await;
    assert_eq!(open.adopt(&policies(vec![path("/hooks/*"), network])), Cuts(0), "whatever was asked for");
}

#[tokio::test]
async fn what_nobody_had_open_makes_room_for_people_once_it_is_over() {
    const MOST: usize = 4;
    let open = Open::at(policies(vec![Selector::Everyone]), 10).await;
    let of = |owner: u8| {
        Arc::new(Passage::new(NewPassage {
            owner: SessionId::new([owner; 32]),
            application: &"site".into(),
            situation: &Situation { client_ip: [192, 0, 2, 1].into(), asked: None, shown: &Shown::Nothing },
            class: None,
            life: Life::ENDLESS,
            longest: None,
            client: &open.client,
        }))
    };
    assert_eq!(open.passage.owner(), NOBODY);
    let (idle, used) = (of(0), of(0));
    let attached = used.attach(&open.client).unwrap();
    let mut known = vec![idle, of(1), used, of(2)];
    assert!(Passage::has_room(&mut known, MOST + 1));
    assert_eq!(known.len(), MOST, "nothing is forgotten while there is room");
    assert!(Passage::has_room(&mut known, MOST), "strangers do not fill it up");
    let left: Vec<_> = known.iter().map(|passage| passage.owner()).collect();
    assert_eq!(left, [SessionId::new([1; 32]), NOBODY, SessionId::new([2; 32])], "what is in use stays");
    known.push(of(3));
    assert!(!Passage::has_room(&mut known, MOST), "people are not forgotten");
    drop(attached);
    assert!(Passage::has_room(&mut known, MOST));
    assert_eq!(known.len(), MOST - 1);
}
