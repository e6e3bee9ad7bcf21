//! Where each attack case stands: in a test of this program, or in one beside the part that it concerns.

use std::fs;

use portcullis_tests::harness::binary::repository;

const PATH: &str = "tests/tests/attacks/path.rs";
const FRAMING: &str = "tests/tests/attacks/framing.rs";

/// Case, file, test.
const LEDGER: &[(&str, &str, &str)] = &[
    ("T01", PATH, "t01_dot_segments_are_refused"),
    ("T02", PATH, "t02_encoded_dot_segments_are_refused"),
    ("T03", PATH, "t03_what_is_encoded_twice_is_never_decoded_twice"),
    ("T04", PATH, "t04_path_parameters_are_refused_by_default"),
    ("T05", PATH, "t05_an_encoded_slash_is_refused_by_default"),
    ("T06", PATH, "t06_empty_segments_are_refused_and_a_last_slash_or_dot_is_kept"),
    ("T07", PATH, "t07_a_fragment_never_reaches_an_upstream"),
    ("T08", PATH, "t08_the_query_is_no_part_of_the_judged_path"),
    ("T09", PATH, "t09_bytes_that_patterns_are_written_in_are_bytes_of_the_path"),
    ("T10", PATH, "t10_case_and_other_alphabets_are_not_folded_and_broken_ones_are_refused"),
    ("T11", PATH, "t11_broken_escapes_and_bytes_that_are_no_text_are_refused"),
    ("T12", PATH, "t12_an_absolute_target_must_name_the_host_of_the_request"),
    ("T13", PATH, "t13_asterisk_and_authority_forms_are_refused"),
    ("T39", FRAMING, "t39_two_readings_of_a_body_are_refused"),
    ("T39", FRAMING, "t39_a_length_beside_chunks_never_reaches_the_upstream"),
    ("T39", FRAMING, "t39_broken_chunks_break_the_request_off"),
    ("T39", FRAMING, "t39_line_ends_are_written_anew"),
    ("T40", FRAMING, "t40_nothing_follows_an_upgrade_before_it_was_granted"),
    ("T41", FRAMING, "t41_an_upgrade_that_is_not_granted_makes_no_tunnel"),
    ("T42", FRAMING, "t42_the_body_of_a_refused_request_is_no_request"),
    ("T42b", FRAMING, "t42b_a_refusal_holds_no_byte_of_the_upstream"),
    ("T43", FRAMING, "t43_a_socket_that_was_a_tunnel_serves_no_other_request"),
    ("T44", FRAMING, "t44_what_http2_could_smuggle_into_http1_is_refused"),
    ("T44", FRAMING, "t44_a_length_that_lies_is_never_whole_for_the_upstream"),
    ("T44", FRAMING, "t44_trailers_hold_no_pseudo_fields"),
    ("T46", FRAMING, "t46_a_refused_request_is_never_told_to_go_on"),
    ("T47", FRAMING, "t47_a_request_that_may_have_been_done_is_not_done_again"),
    ("T48", FRAMING, "t48_answers_without_end_are_given_up"),
    ("T49", "gateway/src/login/provider_http/tests.rs", "t49_a_gigabyte_is_refused_by_its_announcement"),
    (
        "T49",
        "gateway/src/login/provider_http/tests.rs",
        "t49_a_body_without_announcement_is_read_to_the_limit",
    ),
    ("T49", "gateway/src/login/provider_http/tests.rs", "t49_a_dripping_body_ends_at_the_deadline"),
    (
        "T49",
        "gateway/src/login/provider_http/tests.rs",
        "t49_a_redirect_is_an_answer_and_nothing_is_followed",
    ),
    ("T49", "gateway/src/login/provider_http/tests.rs", "t49_addresses_that_no_provider_lives_at"),
    ("T16", "gateway/src/route/path.rs", "t16_one_meaning_for_everybody"),
];

#[test]
fn every_test_of_the_ledger_exists() {
    for (case, file, test) in LEDGER {
        let text =
            fs::read_to_string(repository().join(file)).unwrap_or_else(|e| panic!("{case}: {file}: {e}"));
        assert!(text.contains(&format!("fn {test}(")), "{case}: no test `{test}` in {file}");
    }
}
