//! The SCIM endpoint, over TLS and with a key as an administrator makes it, judged by `scim2-tester`, which creates, patches
//! and deletes through every attribute that our schemas publish; and what judges us, judged by `scim2-server`, a sink that others wrote.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

#[path = "../../../scim-sink/tests/suite/okta_spec/steps.rs"]
mod okta_spec;
mod reference;
mod replay;

mod outside {
    use std::process::{Command, Stdio};

    use portcullis_tests::harness::{Settings, World, WorldConfig};
    use portcullis_tests::okta::{Company, Dialect, OktaConfig, OktaSim};
    use portcullis_tests::outside::scim2;

    use crate::okta_spec::{ASSERTIONS, all_twelve_steps};
    use crate::reference::Reference;
    use crate::replay::replay;

    /// Fewer checks than this mean that the tester did not look at what we publish.
    const LEAST_CHECKS: usize = 100;

    #[tokio::test(flavor = "multi_thread")]
    async fn every_check_of_the_tester_succeeds() {
        // Python asks the system for addresses, and not every system knows names below `localhost`.
        let change = |settings: &mut Settings| settings.auth_host = "localhost".to_owned();
        let mut world =
            World::with(WorldConfig { provisioned: false, change, ..WorldConfig::default() }).await;
        world.connect_scim(Dialect::Catalog);
        let mut command = Command::new(scim2());
        // Its HTTP client trusts the bundle that this variable names, so the certificate is checked here, too.
        command.env("SSL_CERT_FILE", world.gateway.ca_file());
        command.env("SCIM_CLI_HEADERS", format!("Authorization: Bearer {}", world.scim_key));
        command.args(["--url", &world.scim_url(), "test", "--verbose"]).stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}\n{complained}");
        let succeeded = said.matches("SUCCESS").count();
        assert!(succeeded >= LEAST_CHECKS, "only {succeeded} checks succeeded:\n{said}");
    }

    /// The suite is right when a sink that we did not write passes it, too.
    #[tokio::test(flavor = "multi_thread")]
    async fn oktas_spec_suite_passes_on_the_reference_server() {
        let reference = Reference::start().await;
        assert_eq!(all_twelve_steps(&reference).await, ASSERTIONS);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn oktas_order_of_requests_passes_on_the_reference_server_in_both_dialects() {
        for dialect in [Dialect::Wizard, Dialect::Catalog] {
            let reference = Reference::start().await;
            let okta = OktaSim::start(OktaConfig::new(Company::demo())).await.unwrap();
            okta.set_scim_target(reference.target(dialect)).unwrap();
            replay(&okta).await;
        }
    }
}

/// The same on the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn oktas_order_of_requests_passes_on_the_gateway_in_both_dialects() {
    use portcullis_tests::harness::{World, WorldConfig};
    for dialect in [portcullis_tests::okta::Dialect::Wizard, portcullis_tests::okta::Dialect::Catalog] {
        let mut world = World::with(WorldConfig { provisioned: false, ..WorldConfig::default() }).await;
        world.connect_scim(dialect);
        replay::replay(&world.okta).await;
    }
}
