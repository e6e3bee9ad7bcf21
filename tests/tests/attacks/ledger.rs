//! Where each attack case stands: in a test of this program, or in one beside the part that it concerns.

use std::fs;

use portcullis_tests::harness::binary::repository;

const PATH: &str = "tests/tests/attacks/path.rs";
const HOST: &str = "tests/tests/attacks/host.rs";
const IDENTITY: &str = "tests/tests/attacks/identity.rs";
const SURFACE: &str = "tests/tests/attacks/surface.rs";
const DOORS: &str = "tests/tests/doors.rs";
const FLOODS: &str = "tests/tests/attacks/floods.rs";
const FRAMING: &str = "tests/tests/attacks/framing.rs";

/// Case, file, test.
const LEDGER: &[(&str, &str, &str)] = &[
    ("T01", PATH, "t01_dot_segments_are_refused"),
    ("T02", PATH, "t02_encoded_dot_segments_are_refused"),
    ("T03", PATH, "t03_what_is_encoded_twice_is_never_decoded_twice"),
    ("T04", PATH, "t04_path_parameters_are_refused_by_default"),
    ("T05", PATH, "t05_an_encoded_slash_is_refused_by_default"),
    ("T04", PATH, "t05_t04_a_tolerant_application_gets_what_was_judged"),
    ("T05", PATH, "t05_t04_a_tolerant_application_gets_what_was_judged"),
    ("T06", PATH, "t06_empty_segments_are_refused_and_a_last_slash_or_dot_is_kept"),
    ("T07", PATH, "t07_a_fragment_never_reaches_an_upstream"),
    ("T08", PATH, "t08_the_query_is_no_part_of_the_judged_path"),
    ("T09", PATH, "t09_bytes_that_patterns_are_written_in_are_bytes_of_the_path"),
    ("T10", PATH, "t10_case_and_other_alphabets_are_not_folded_and_broken_ones_are_refused"),
    ("T11", PATH, "t11_broken_escapes_and_bytes_that_are_no_text_are_refused"),
    ("T12", PATH, "t12_an_absolute_target_must_name_the_host_of_the_request"),
    ("T13", PATH, "t13_asterisk_and_authority_forms_are_refused"),
    ("T14", "tests/tests/upstreams/kinds.rs", "t14_a_prefix_is_taken_off_after_it_was_judged"),
    ("T15", PATH, "t15_the_most_specific_application_decides_in_every_spelling"),
    ("T15", "gateway/src/route/table.rs", "t15_the_most_specific_path_wins_and_inherits_nothing"),
    ("T16", "tests/tests/attacks/property.rs", "t16_what_the_policy_saw_is_what_the_upstream_decodes"),
    ("T16", "gateway/src/route/path.rs", "t16_one_meaning_for_everybody"),
    ("T17", HOST, "t17_the_case_of_a_host_means_nothing"),
    ("T17", HOST, "t17_a_wildcard_stands_for_one_label"),
    ("T18", HOST, "t18_other_spellings_of_a_host_are_refused"),
    ("T19", HOST, "t19_a_request_names_one_host"),
    ("T20", HOST, "t20_a_host_that_is_not_served_over_this_connection_is_misdirected"),
    ("T20", "tests/tests/tls.rs", "t20_t21_a_host_is_reached_over_a_handshake_of_its_own_rules"),
    ("T21", HOST, "t21_a_hello_in_pieces_or_without_a_name_is_a_hello"),
    ("T22", HOST, "t22_http3_is_not_spoken"),
    ("T23", HOST, "t23_no_request_travels_in_early_data"),
    ("T24", HOST, "t24_nothing_of_a_host_can_write_into_a_field_for_the_upstream"),
    ("T25", "gateway/src/seal.rs", "what_was_sealed_opens_for_the_same_purpose_host_and_time_only"),
    ("T25", "gateway/src/seal.rs", "t74_no_byte_can_be_changed"),
    ("T26", IDENTITY, "t26_nobody_is_trusted_to_say_where_a_request_comes_from"),
    ("T26b", "gateway/src/config/tests.rs", "t26b_nobody_can_let_everybody_tell_their_address"),
    ("T27", DOORS, "t26_t27_t30_t37_a_forged_identity_never_reaches_the_upstream"),
    ("T28", DOORS, "t28_t31_t33_t35_what_is_ours_or_the_connections_stays_behind"),
    ("T29", IDENTITY, "t29_t32_a_claim_that_is_no_field_value_leaves_no_room_for_another"),
    ("T30", DOORS, "t26_t27_t30_t37_a_forged_identity_never_reaches_the_upstream"),
    ("T31", DOORS, "t28_t31_t33_t35_what_is_ours_or_the_connections_stays_behind"),
    ("T32", IDENTITY, "t29_t32_a_claim_that_is_no_field_value_leaves_no_room_for_another"),
    ("T33", IDENTITY, "t33_identity_in_trailers_stays_behind"),
    ("T34", IDENTITY, "t34_fields_that_are_no_text_change_no_decision"),
    ("T35", DOORS, "t28_t31_t33_t35_what_is_ours_or_the_connections_stays_behind"),
    ("T35", "gateway/src/cookies.rs", "t35_a_space_of_another_alphabet_is_part_of_a_name"),
    ("T36", IDENTITY, "t36_a_page_of_ours_tells_no_secret"),
    ("T37", DOORS, "t26_t27_t30_t37_a_forged_identity_never_reaches_the_upstream"),
    ("T38", IDENTITY, "t38_every_field_that_the_gateway_sets_is_its_own"),
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
    ("T45", FLOODS, "t45_floods_over_http2_leave_memory_bounded"),
    ("T45", FLOODS, "t45_slow_and_large_heads_leave_memory_bounded"),
    ("T46", FRAMING, "t46_a_refused_request_is_never_told_to_go_on"),
    ("T47", FRAMING, "t47_a_request_that_may_have_been_done_is_not_done_again"),
    ("T47", "tests/tests/upstreams/choice.rs", "t47_only_what_cannot_happen_twice_is_sent_again"),
    ("T48", FRAMING, "t48_answers_without_end_are_given_up"),
    ("T49", "gateway/src/web_client/tests.rs", "t49_a_gigabyte_is_refused_by_its_announcement"),
    ("T49", "gateway/src/web_client/tests.rs", "t49_a_body_without_announcement_is_read_to_the_limit"),
    ("T49", "gateway/src/web_client/tests.rs", "t49_a_dripping_body_ends_at_the_deadline"),
    ("T49", "gateway/src/web_client/tests.rs", "t49_a_redirect_is_an_answer_and_nothing_is_followed"),
    ("T49", "gateway/src/web_client/tests.rs", "t49_addresses_that_no_provider_lives_at"),
    ("T50", SURFACE, "t50_nothing_that_a_client_says_of_itself_opens_a_door"),
    ("T51", SURFACE, "t51_options_is_a_request_like_any_other"),
    ("T52", SURFACE, "t52_only_known_methods_are_served_and_none_is_overridden"),
    ("T53", SURFACE, "t53_a_rule_on_addresses_sees_the_peer"),
    ("T54", "gateway/src/config/tests.rs", "t54_names_that_nothing_bears_are_faults"),
    ("T54", "tests/tests/bad_input/configuration.rs", "each_fault_is_named_with_its_line"),
    ("T54", "gateway/src/tls/tests.rs", "t54_a_file_that_holds_nothing_is_no_authority_and_no_list"),
    ("T54", "tests/tests/tls.rs", "t54_a_gateway_without_its_authorities_does_not_start"),
    ("T55", "tests/tests/reload.rs", "t55_reloads_under_load_lose_no_request_and_show_none_half_of_each"),
    ("T56", SURFACE, "t56_our_endpoints_are_below_one_prefix_and_nowhere_else"),
    ("T57", SURFACE, "t57_what_is_inside_is_not_on_the_public_listener"),
    ("T57", DOORS, "every_door_for_everybody_in_every_way"),
    ("T58", "tests/tests/bad_input/cookies.rs", "what_is_no_session_of_this_host_is_nobody"),
    ("T58", "tests/tests/bad_input/cookies.rs", "a_cookie_of_a_megabyte_is_refused_by_its_size"),
    (
        "T59",
        "tests/tests/bad_input/callback.rs",
        "t59_a_callback_that_is_not_one_is_refused_and_spends_nothing",
    ),
    ("T59", "gateway/src/query.rs", "t59_a_name_that_comes_twice_has_no_value"),
    ("T60", "tests/tests/bad_input/callback.rs", "t60_a_state_of_another_browser_or_used_before_is_refused"),
    ("T60", "tests/tests/session/cookies.rs", "t60_a_hand_over_is_used_once_and_where_it_was_asked_for"),
    (
        "T61",
        "tests/tests/session/cookies.rs",
        "t61_every_login_has_a_new_id_and_what_was_there_before_is_worth_nothing",
    ),
    ("T62", "gateway/src/login/claims/tests.rs", "t62_one_algorithm_is_taken_and_no_other"),
    ("T62", "gateway/src/login/claims/tests.rs", "t62_the_public_key_is_no_shared_secret"),
    ("T62", "gateway/src/login/claims/tests.rs", "t62_the_head_is_bounded_and_said_once"),
    (
        "T62",
        "gateway/src/login/provider/kept/tests.rs",
        "t62_a_storm_of_unknown_keys_makes_one_fetch_per_floor",
    ),
    ("T63", "gateway/src/login/claims/tests.rs", "t63_the_token_is_of_this_issuer_for_us_alone"),
    (
        "T63",
        "tests/tests/providers.rs",
        "t63_a_callback_without_its_issuer_is_refused_where_the_provider_sends_it",
    ),
    ("T64", "gateway/src/login/claims/tests.rs", "t64_times_have_edges"),
    ("T65", "gateway/src/login/claims/tests.rs", "t65_an_address_counts_only_verified_and_in_one_reading"),
    (
        "T66",
        "tests/tests/guides/sign_in_domains.rs",
        "t65_t66_only_verified_addresses_of_a_listed_domain_may_sign_in",
    ),
    ("T67", "gateway/src/login/claims/tests.rs", "t67_groups_are_names_or_the_token_is_refused"),
    ("T67", "tests/tests/groups.rs", "a_second_page_that_fails_refuses_the_login"),
    ("T68", "tests/tests/redirects.rs", "t68_no_redirect_leaves_the_configured_hosts"),
    ("T69", "gateway/src/respond/tests.rs", "t69_nothing_that_somebody_said_is_markup_on_any_page"),
    ("T69", "gateway/src/respond/tests.rs", "t69_a_program_gets_json_that_no_browser_takes_for_a_page"),
    ("T70", "tests/tests/secrets.rs", "t70_t78_no_secret_and_no_token_is_told_anywhere"),
    ("T71", "tests/tests/providers.rs", "t71_a_code_belongs_to_one_verifier_and_is_redeemed_once"),
    ("T72", "tests/tests/session/renewal.rs", "t72_fifty_requests_at_a_renewal_redeem_once"),
    ("T72", "tests/tests/session/renewal.rs", "t72_t90c_a_refused_renewal_ends_the_session_and_what_is_open"),
    ("T72", "tests/tests/session/renewal.rs", "t72_t89_a_provider_that_fails_logs_nobody_out"),
    ("T73", "gateway/src/login/claims/tests.rs", "t73_what_is_encrypted_or_packed_is_not_unpacked"),
    ("T73", "gateway/src/web_client/tests.rs", "t73_a_compressed_answer_is_refused"),
    ("T74", "gateway/src/seal.rs", "t74_no_byte_can_be_changed"),
    ("T74", "tests/tests/session/cookies.rs", "t74_an_attempt_with_one_flipped_byte_is_told_like_any_other"),
    ("T74", "tests/tests/bad_input/cookies.rs", "t74_a_token_with_one_flipped_character_is_nobody"),
    ("T75", "tests/tests/session/cookies.rs", "t75_t77_a_cookie_is_one_and_of_its_host"),
    ("T76", "gateway/src/cookies.rs", "t76_a_name_that_comes_twice_has_no_value"),
    ("T77", "tests/tests/session/cookies.rs", "t75_t77_a_cookie_is_one_and_of_its_host"),
    (
        "T77",
        "tests/tests/terminal.rs",
        "t77_a_token_is_worth_nothing_as_a_cookie_nor_on_another_host_nor_the_other_way_round",
    ),
    ("T78", "tests/tests/secrets.rs", "t70_t78_no_secret_and_no_token_is_told_anywhere"),
    ("T78b", "tests/tests/chromium.rs", "thirty_tabs_at_once_all_arrive"),
    (
        "T79",
        "tests/tests/assertion.rs",
        "t79_what_is_kept_for_one_person_and_application_is_told_of_no_other",
    ),
    ("T79", "gateway/src/login/groups/answers.rs", "many_tabs_ask_once_and_a_renewal_asks_anew"),
    ("T80", "tests/tests/session/cookies.rs", "t80_what_was_allowed_once_is_judged_by_the_clock_again"),
    ("T81", "tests/tests/terminal.rs", "t81_a_cookie_and_a_token_of_two_people_are_refused"),
    ("T81", "tests/tests/service_tokens.rs", "t81_a_service_token_counts_alone_whatever_stands_beside_it"),
    (
        "T82",
        "tests/tests/service_tokens.rs",
        "t82_a_service_token_opens_nothing_but_what_a_policy_about_services_says",
    ),
    ("T83", "gateway/src/login/claims/tests.rs", "t63_the_token_is_of_this_issuer_for_us_alone"),
];

#[test]
fn every_test_of_the_ledger_exists() {
    for (case, file, test) in LEDGER {
        let text =
            fs::read_to_string(repository().join(file)).unwrap_or_else(|e| panic!("{case}: {file}: {e}"));
        assert!(text.contains(&format!("fn {test}(")), "{case}: no test `{test}` in {file}");
    }
}

/// Groups A to G.
#[test]
fn no_case_is_missing_from_the_ledger() {
    let numbered = (1..=83).map(|number| format!("T{number:02}"));
    let cases = numbered.chain(["T26b", "T42b", "T78b"].map(str::to_owned));
    let missing: Vec<String> =
        cases.filter(|wanted| !LEDGER.iter().any(|(case, _, _)| case == wanted)).collect();
    assert!(missing.is_empty(), "no test for {missing:?}");
}
