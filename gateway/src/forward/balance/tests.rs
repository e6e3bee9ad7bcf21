//! Choosing, leaving alone and coming back, without a socket.

use std::path::Path;

use super::*;
use crate::config::Config;

const WHOLE: &str = r#"
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
[[application]]
name = "wiki"
hosts = ["wiki.localhost"]
upstreams = ["http://a", { url = "http://b", weight = 3 }, "http://c", "http://d"]
policies = ["all"]
[application.upstream]
slow_start = "100s"
outlier = { failures = 2, eject_for = "10s", max_ejected = 50 }
[[policy]]
name = "all"
action = "allow"
include = [{ everyone = true }]
"#;

fn application(source: &str) -> Arc<Application> {
    Config::parse(source, Path::new("/")).unwrap().applications.remove(0)
}

fn balance() -> Balance {
    Balance::new(&application(WHOLE), None)
}

fn chosen(balance: &Balance, avoid: Option<usize>, draw: &Draw) -> [usize; 4] {
    let mut times = [0; 4];
    for _ in 0..6_000 {
        times[balance.choose(avoid, draw)] += 1;
    }
    times
}

#[test]
fn weights_decide_while_nobody_is_busy() {
    let (balance, draw) = (balance(), Draw::new(1));
    let times = chosen(&balance, None, &draw);
    assert!((2_700..3_300).contains(&times[1]), "half of the weight: {times:?}");
    assert!(times.iter().all(|times| *times > 800), "{times:?}");
    assert_eq!(chosen(&balance, Some(1), &draw)[1], 0, "another one than that which failed");
}

#[test]
fn the_busy_get_less() {
    let (balance, draw) = (balance(), Draw::new(1));
    let before = chosen(&balance, None, &draw)[0];
    let _held: Vec<_> = (0..10).map(|_| balance.begin(0)).collect();
    let after = chosen(&balance, None, &draw)[0];
    assert!(after < before / 2, "{before} became {after}");
}

#[test]
fn an_endpoint_that_fails_is_left_alone_and_half_of_all_at_most() {
    let (balance, draw) = (balance(), Draw::new(1));
    balance.note_failure(0);
    assert!(chosen(&balance, None, &draw)[0] > 0, "once is not twice");
    balance.note_answer(0, StatusCode::OK);
    balance.note_failure(0);
    assert!(chosen(&balance, None, &draw)[0] > 0, "in a row");
    for number in 0..3 {
        balance.note_failure(number);
        balance.note_answer(number, StatusCode::BAD_GATEWAY);
    }
    let times = chosen(&balance, None, &draw);
    assert!(times[0] == 0 && times[1] == 0 && times[2] > 0 && times[3] > 0, "{times:?}");
    // Later it is tried again, with less than its share at first.
    let later = now_ms() + 10_001;
    assert!(balance.endpoints()[0].is_usable(later));
    let share = |seconds: u64| {
        balance.endpoints()[0].share(later + seconds * 1_000, balance.application().upstream.slow_start)
    };
    assert_eq!((share(0), share(50), share(100)), (10, 50, 100));
}

#[test]
fn when_none_is_well_all_are_tried() {
    let (balance, draw) = (balance(), Draw::new(1));
    for endpoint in balance.endpoints() {
        endpoint.set_healthy(false, now_ms(), "a test");
    }
    assert!(chosen(&balance, None, &draw).iter().all(|times| *times > 0));
}

#[test]
fn what_is_known_outlives_a_reload_that_changes_nothing_of_it() {
    let before = balance();
    before.note_failure(0);
    before.note_failure(0);
    let asked =
        WHOLE.replace("slow_start", "health = { path = \"/\" }\nslow_start").replace("http://b", "http://e");
    let after = Balance::new(&application(&asked), Some(&before));
    let draw = Draw::new(1);
    let times = chosen(&after, None, &draw);
    assert!(times[0] == 0 && times[1] > 0, "{times:?}");
    after.endpoints()[3].set_healthy(false, now_ms(), "a test");
    assert_eq!(chosen(&after, None, &draw)[3], 0);
    // Nobody asks any more: it cannot stay ill for ever.
    let unasked = Balance::new(&application(WHOLE), Some(&after));
    assert!(chosen(&unasked, None, &draw)[3] > 0);
}
