//! What an allow may ask for beyond its rules: a purpose, and somebody's approval.

use std::ops::Range;
use std::time::Duration;

use portcullis_policy::Approval;

use super::super::document::{Section, Value};
use super::rule::{Names, read_rules};

/// What people are asked stands on a page, above the field for the answer.
pub(super) const MAX_PROMPT_CHARS: usize = 300;
/// What lasts longer is no temporary access.
const LONGEST_GRANT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Both, as one policy has them.
pub(super) struct Beyond {
    pub(super) purpose_required: bool,
    /// In which words people are asked, where the policy says it.
    pub(super) prompt: Option<String>,
    pub(super) approval: Option<Approval>,
}

/// None when something is wrong: a policy without what it asks for would be another policy.
pub(super) fn read(
    section: &mut Section<'_, '_>,
    names: &Names<'_>,
    spans: &mut Vec<Range<usize>>,
) -> Option<Beyond> {
    let purpose = section.optional("purpose").map_or(Some((false, None)), |value| read_purpose(&value));
    let approval = section.optional("approval");
    let approval = approval.map_or(Some(None), |value| read_approval(&value, names, spans).map(Some));
    let ((purpose_required, prompt), approval) = (purpose?, approval?);
    Some(Beyond { purpose_required, prompt, approval })
}

fn read_purpose(value: &Value<'_, '_>) -> Option<(bool, Option<String>)> {
    let Some(mut section) = value.table() else { return value.boolean().map(|asked| (asked, None)) };
    let prompt = section.required("prompt", "what people are asked, or write `purpose = true`");
    section.finish();
    let value = prompt?;
    let prompt = value.string()?.trim();
    if prompt.is_empty() || prompt.chars().count() > MAX_PROMPT_CHARS || prompt.contains(char::is_control) {
        value.fault(format!("must be a line of {MAX_PROMPT_CHARS} characters at most"));
        return None;
    }
    Some((true, Some(prompt.to_owned())))
}

fn read_approval(
    value: &Value<'_, '_>,
    names: &Names<'_>,
    spans: &mut Vec<Range<usize>>,
) -> Option<Approval> {
    let mut section =
        value.section_or("must be a table: { approvers = [{ group = \"Security\" }], longest = \"4h\" }")?;
    let approvers = section.required("approvers", "who may grant it, such as [{ group = \"Security\" }]");
    let approvers = approvers.and_then(|value| read_rules(&value, names, spans));
    let longest = section.required("longest", "the longest time of one grant, such as \"4h\"");
    let longest = longest.and_then(|value| {
        let longest = value.duration()?;
        if longest > LONGEST_GRANT {
            value.fault("a grant lasts 30d at most");
            return None;
        }
        Some(longest)
    });
    section.finish();
    Some(Approval { approvers: approvers?, longest: longest? })
}
