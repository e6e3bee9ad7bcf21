use proptest::prelude::*;

use super::*;

const DAY: i64 = 86_400;
const WISH: Wish = Wish { algorithm: Algorithm::Rs256, rotate_every_s: 42 * DAY };

fn key(kid: &str, state: SigningKeyState, since: i64) -> SigningKey {
    SigningKey {
        kid: kid.to_owned(),
        algorithm: "RS256".to_owned(),
        sealed_private: Vec::new(),
        public_jwk: String::new(),
        certificate_pem: String::new(),
        created_at: since,
        state,
        state_since: since,
    }
}

/// What the store does with steps.
fn taken(keys: &mut Vec<SigningKey>, steps: Vec<SigningKeyStep>) {
    for step in steps {
        match step {
            SigningKeyStep::Insert(key) => keys.push(key),
            SigningKeyStep::Move { kid, state, since } => {
                let key = keys.iter_mut().find(|key| key.kid == kid).unwrap();
                (key.state, key.state_since) = (state, since);
            }
            SigningKeyStep::Delete { kid } => keys.retain(|key| key.kid != kid),
        }
        for state in [SigningKeyState::Active, SigningKeyState::Next] {
            assert!(keys.iter().filter(|key| key.state == state).count() <= 1, "two keys are {state:?}");
        }
    }
}

/// One look, with a key made if one is needed.
fn look(keys: &mut Vec<SigningKey>, wish: Wish, occasion: Occasion, now: i64) {
    let steps = match due(keys, wish, occasion, now, None) {
        Due::Steps(steps) => steps,
        Due::NewKey => {
            let kid = format!("{now}-{}", keys.len());
            let made =
                SigningKey { algorithm: wish.algorithm.to_string(), ..key(&kid, SigningKeyState::Next, now) };
            let Due::Steps(steps) = due(keys, wish, occasion, now, Some(made)) else {
                panic!("a key is wanted again")
            };
            steps
        }
    };
    taken(keys, steps);
}

fn kids(keys: &[SigningKey], state: SigningKeyState) -> Vec<&str> {
    keys.iter().filter(|key| key.state == state).map(|key| key.kid.as_str()).collect()
}

#[test]
fn a_first_key_signs_at_once_and_the_next_is_published_a_day_before() {
    let mut keys = Vec::new();
    look(&mut keys, WISH, Occasion::Time, 0);
    assert_eq!(kids(&keys, SigningKeyState::Active), ["0-0"]);
    for quiet in [1, 40 * DAY, 41 * DAY - 1] {
        assert_eq!(due(&keys, WISH, Occasion::Time, quiet, None), Due::Steps(Vec::new()), "at {quiet}");
    }
    look(&mut keys, WISH, Occasion::Time, 41 * DAY);
    let next = kids(&keys, SigningKeyState::Next).concat();
    assert_eq!(kids(&keys, SigningKeyState::Active), ["0-0"], "a key signed before it was published");
    look(&mut keys, WISH, Occasion::Time, 42 * DAY - 1);
    assert_eq!(kids(&keys, SigningKeyState::Active), ["0-0"]);
    look(&mut keys, WISH, Occasion::Time, 42 * DAY);
    assert_eq!(kids(&keys, SigningKeyState::Active), [next]);
    assert_eq!(kids(&keys, SigningKeyState::Retired), ["0-0"]);
    look(&mut keys, WISH, Occasion::Time, 49 * DAY - 1);
    assert_eq!(kids(&keys, SigningKeyState::Retired), ["0-0"], "a key went before a week was over");
    look(&mut keys, WISH, Occasion::Time, 49 * DAY);
    assert!(kids(&keys, SigningKeyState::Retired).is_empty());
}

#[test]
fn another_algorithm_is_a_rotation_and_thinking_better_of_it_none() {
    let mut keys = vec![key("old", SigningKeyState::Active, 0)];
    let es256 = Wish { algorithm: Algorithm::Es256, ..WISH };
    look(&mut keys, es256, Occasion::Time, 10);
    assert_eq!(kids(&keys, SigningKeyState::Active), ["old"]);
    assert_eq!(keys[1].algorithm, "ES256");
    let mut other_mind = keys.clone();
    look(&mut other_mind, WISH, Occasion::Time, 20);
    assert_eq!(other_mind, [keys[0].clone()], "a key that nobody wants is kept");
    look(&mut keys, es256, Occasion::Time, 10 + DAY);
    assert_eq!(keys.iter().find(|key| key.state == SigningKeyState::Active).unwrap().algorithm, "ES256");
    assert_eq!(kids(&keys, SigningKeyState::Retired), ["old"]);
}

#[test]
fn an_operator_may_ask_for_a_rotation_and_for_one_at_once() {
    let mut asked = vec![key("old", SigningKeyState::Active, 0)];
    look(&mut asked, WISH, Occasion::Asked, 10);
    look(&mut asked, WISH, Occasion::Asked, 20);
    assert_eq!(kids(&asked, SigningKeyState::Next).len(), 1, "asking twice is asking once");
    assert_eq!(kids(&asked, SigningKeyState::Active), ["old"]);
    let next = kids(&asked, SigningKeyState::Next).concat();
    let mut hurried = asked.clone();
    look(&mut hurried, WISH, Occasion::AskedNow, 30);
    assert_eq!(kids(&hurried, SigningKeyState::Active), [next.as_str()]);
    look(&mut asked, WISH, Occasion::Time, 10 + DAY);
    assert_eq!(kids(&asked, SigningKeyState::Active), [next], "what was asked for does not follow");
    let mut at_once = vec![key("old", SigningKeyState::Active, 0)];
    look(&mut at_once, WISH, Occasion::AskedNow, 10);
    assert_eq!(kids(&at_once, SigningKeyState::Retired), ["old"]);
    assert_eq!(kids(&at_once, SigningKeyState::Active), ["10-1"]);
}

#[test]
fn a_clock_that_was_set_shortens_no_wait() {
    let year = 365 * DAY;
    let mut keys = vec![
        key("retired", SigningKeyState::Retired, 0),
        key("active", SigningKeyState::Active, 0),
        key("next", SigningKeyState::Next, 0),
    ];
    look(&mut keys, WISH, Occasion::ClockWasSet, year);
    assert_eq!(kids(&keys, SigningKeyState::Active), ["active"]);
    assert_eq!(kids(&keys, SigningKeyState::Retired), ["retired"]);
    look(&mut keys, WISH, Occasion::Time, year + DAY);
    assert_eq!(kids(&keys, SigningKeyState::Active), ["next"]);
}

#[test]
fn times_that_lie_ahead_do_not_stop_the_rotation() {
    let far = 10 * 365 * DAY;
    let mut keys = vec![key("active", SigningKeyState::Active, far), key("next", SigningKeyState::Next, far)];
    look(&mut keys, WISH, Occasion::Time, 0);
    look(&mut keys, WISH, Occasion::Time, DAY);
    assert_eq!(kids(&keys, SigningKeyState::Active), ["next"]);
    let slack = vec![key("active", SigningKeyState::Active, AHEAD_S)];
    assert_eq!(due(&slack, WISH, Occasion::Time, 0, None), Due::Steps(Vec::new()));
}

proptest! {
    /// However often and irregularly somebody looks, asks, and changes their mind: one key signs; none signs that was not
    /// published for as long as it must be; and one that signed stays published for a week.
    #[test]
    fn no_key_signs_unpublished_and_none_goes_too_early(
        looks in prop::collection::vec((0..20 * DAY, any::<bool>(), 0..8u8), 1..60),
        rotate_every_s in DAY..100 * DAY,
    ) {
        let (mut keys, mut now) = (Vec::new(), 0);
        for (passed, other, mood) in looks {
            now += passed;
            let wish = Wish { algorithm: if other { Algorithm::Es256 } else { Algorithm::Rs256 }, rotate_every_s };
            let occasion = match mood { 0 => Occasion::Asked, 1 => Occasion::ClockWasSet, _ => Occasion::Time };
            let before = keys.clone();
            look(&mut keys, wish, occasion, now);
            prop_assert_eq!(kids(&keys, SigningKeyState::Active).len(), 1);
            for was in &before {
                let is = keys.iter().find(|key| key.kid == was.kid);
                match (was.state, is.map(|key| key.state)) {
                    (SigningKeyState::Next, Some(SigningKeyState::Active)) => {
                        prop_assert!(now - was.state_since >= DAY.min(rotate_every_s / 2));
                    }
                    (SigningKeyState::Retired, None) => prop_assert!(now - was.state_since >= 7 * DAY),
                    (SigningKeyState::Active, left) => prop_assert!(left.is_some()),
                    _ => {}
                }
            }
        }
    }
}
