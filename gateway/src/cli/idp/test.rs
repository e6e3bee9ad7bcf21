//! `portcullis idp test`: tries a provider out and says of each step what was found and what to do. Trying is left to `login`.

use std::error::Error;
use std::sync::Arc;

use serde_json::json;

use super::super::say;
use super::{Test, load};
use crate::gateway::now;
use crate::login::{Provider, Step, Verdict};
use crate::web_client::WebClient;

pub(super) fn run(test: &Test) -> Result<(), Box<dyn Error>> {
    let (config, settings) = load(&test.config, &test.name)?;
    let http = Arc::new(WebClient::new(config.limits.provider_timeout)?);
    let provider = Provider::new(settings, http);
    let redirect_uri = config.redirect_uri();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let steps = runtime.block_on(provider.examine(&redirect_uri, test.user.as_deref(), now()));
    let failed = steps.iter().filter(|step| step.verdict == Verdict::Failed).count();
    if test.json {
        let told: Vec<_> = steps.iter().map(as_json).collect();
        say(&serde_json::to_string_pretty(&json!({ "identity_provider": test.name, "steps": told }))?)?;
    } else {
        for step in &steps {
            say(&as_lines(step))?;
        }
    }
    match failed {
        0 => Ok(()),
        _ => {
            Err(format!("{failed} of {} steps failed: people cannot log in by `{}`", steps.len(), test.name)
                .into())
        }
    }
}

fn as_json(step: &Step) -> serde_json::Value {
    json!({
        "step": step.name,
        "verdict": step.verdict.as_str(),
        "text": step.text,
        "advice": step.advice,
    })
}

fn as_lines(step: &Step) -> String {
    let found = format!("{:<8} {}: {}", step.verdict.as_str(), step.name, step.text);
    match &step.advice {
        Some(advice) => format!("{found}\n         -> {advice}"),
        None => found,
    }
}
