use super::*;

fn job(operations: &[Value]) -> Job {
    let body = json!({ "Operations": operations });
    Job::parse(body.as_object().unwrap()).unwrap()
}

/// A `POST` under a name that refers to others.
fn makes(name: &str, needs: &[&str]) -> Value {
    let members: Vec<_> = needs.iter().map(|need| json!({"value": format!("bulkId:{need}")})).collect();
    json!({"method": "post", "path": "/Groups", "bulkId": name, "data": {"members": members}})
}

fn steps(operations: &[Value]) -> Vec<Step> {
    order::order(&job(operations).operations)
}

#[test]
fn what_is_referred_to_is_made_first() {
    use Step::{Complete, Perform};
    assert_eq!(steps(&[makes("a", &[]), makes("b", &[])]), [Perform(0), Perform(1)]);
    assert_eq!(
        steps(&[makes("a", &["c"]), makes("b", &[]), makes("c", &["b"])]),
        [Perform(1), Perform(2), Perform(0)]
    );
    let by_path = json!({"method": "DELETE", "path": "/Users/bulkId:a"});
    assert_eq!(steps(&[by_path, makes("a", &["unknown"])]), [Perform(1), Perform(0)]);
    // Circles: one of each is completed at the end.
    assert_eq!(steps(&[makes("a", &["b"]), makes("b", &["a"])]), [Perform(1), Perform(0), Complete(1)]);
    assert_eq!(steps(&[makes("a", &["a"])]), [Perform(0), Complete(0)]);
}

#[test]
fn each_is_performed_once_and_completed_once_at_most_however_they_refer() {
    let most = crate::limits::MAX_BULK_OPERATIONS;
    // One circle through all of them, and everybody refers to the first ten.
    let operations: Vec<_> = (0..most)
        .map(|number| {
            let mut needs: Vec<String> = (0..10).map(|other| format!("n{other}")).collect();
            needs.push(format!("n{}", (number + 1) % most));
            makes(&format!("n{number}"), &needs.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .collect();
    let steps = steps(&operations);
    let mut performed: Vec<usize> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Perform(index) => Some(*index),
            Step::Complete(_) => None,
        })
        .collect();
    performed.sort_unstable();
    assert_eq!(performed, (0..most).collect::<Vec<_>>());
    assert!(steps.len() <= 2 * most);
}

#[test]
fn a_reference_is_left_out_whole_or_refused() {
    let mut known = Known::new(["here", "later", "never"].into_iter());
    known.note("here", Some("id-1"));
    known.note("never", None);
    let data = json!({
        "members": [{"value": "bulkId:here", "display": "H"}, {"value": "bulkId:later", "display": "L"}],
        "manager": {"value": "bulkId:later"}, "ref": "bulkId:later", "plain": ["bulkId", "x bulkId:later"],
    });
    assert_eq!(
        resolved(&data, &known, Unknown::LeftOut).unwrap(),
        json!({"members": [{"value": "id-1", "display": "H"}], "plain": ["bulkId", "x bulkId:later"]})
    );
    for (name, unknown) in
        [("later", Unknown::Refused), ("never", Unknown::LeftOut), ("elsewhere", Unknown::LeftOut)]
    {
        let refused = resolved(&json!([format!("bulkId:{name}")]), &known, unknown);
        assert!(matches!(refused, Err(Rejection::Unresolved(_))), "{name}");
    }
    assert_eq!(resolved_path("/Users/bulkId:here", &known).unwrap(), "/Users/id-1");
    assert_eq!(resolved_path("/Users", &known).unwrap(), "/Users");
    assert!(matches!(resolved_path("/Users/bulkId:later", &known), Err(Rejection::Unresolved(_))));
}
