//! Finds forms in a page, fills and submits them. It reads just enough HTML for that: tags, attributes, entities.

use http::Method;
use url::Url;
use url::form_urlencoded::Serializer;

use super::BrowserError;
use super::send::{Initiator, Outgoing};

/// One form of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Where it goes; relative to the page.
    pub action: String,
    /// How.
    pub method: Method,
    /// Its fields in order.
    pub fields: Vec<Field>,
}

/// One input of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Its type, lower case; `text` when it says none.
    pub kind: String,
}

impl Form {
    /// All forms of a page.
    #[must_use]
    pub fn all(html: &str) -> Vec<Self> {
        let mut forms: Vec<Self> = Vec::new();
        let mut inside = false;
        for tag in tags(html) {
            match tag.name.as_str() {
                "form" => {
                    inside = true;
                    let post = tag.attribute("method").is_some_and(|m| m.eq_ignore_ascii_case("post"));
                    let method = if post { Method::POST } else { Method::GET };
                    forms.push(Self {
                        action: tag.attribute("action").unwrap_or_default(),
                        method,
                        fields: vec![],
                    });
                }
                "/form" => inside = false,
                "input" | "button" if inside => {
                    if let (Some(form), Some(field)) = (forms.last_mut(), tag.field()) {
                        form.fields.push(field);
                    }
                }
                _ => {}
            }
        }
        forms
    }

    /// The first form of a page.
    #[must_use]
    pub fn first(html: &str) -> Option<Self> {
        Self::all(html).into_iter().next()
    }

    /// The first form that asks for a password.
    #[must_use]
    pub fn login(html: &str) -> Option<Self> {
        Self::all(html).into_iter().find(|form| form.fields.iter().any(|field| field.kind == "password"))
    }

    /// With some fields set; one that the form lacks is added, as a script would.
    #[must_use]
    pub fn filled(mut self, fields: &[(&str, &str)]) -> Self {
        for (name, value) in fields {
            match self.fields.iter_mut().find(|field| field.name == *name) {
                Some(field) => (*value).clone_into(&mut field.value),
                None => self.fields.push(Field {
                    name: (*name).to_owned(),
                    value: (*value).to_owned(),
                    kind: "text".to_owned(),
                }),
            }
        }
        self
    }

    /// With the password field and the first visible text field set.
    #[must_use]
    pub fn with_login(mut self, user: &str, password: &str) -> Self {
        if let Some(field) = self.fields.iter_mut().find(|f| matches!(f.kind.as_str(), "text" | "email")) {
            user.clone_into(&mut field.value);
        }
        if let Some(field) = self.fields.iter_mut().find(|f| f.kind == "password") {
            password.clone_into(&mut field.value);
        }
        self
    }

    /// The request that submitting from `page` makes.
    pub(crate) fn request(&self, page: &Url) -> Result<Outgoing, BrowserError> {
        let mut url = page.join(&self.action).map_err(|_| BrowserError::BadUrl(self.action.clone()))?;
        let mut body = Serializer::new(String::new());
        // The first button is the one that Enter presses; the others are not sent.
        let mut buttons = 0;
        for field in &self.fields {
            buttons += usize::from(field.kind == "submit");
            if field.kind != "submit" || buttons == 1 {
                body.append_pair(&field.name, &field.value);
            }
        }
        let body = body.finish();
        let initiator = Initiator::Page(page.clone());
        if self.method == Method::POST {
            let outgoing = Outgoing::new(Method::POST, url, initiator);
            return Ok(outgoing.body("application/x-www-form-urlencoded", body));
        }
        url.set_query(Some(&body));
        Ok(Outgoing::new(Method::GET, url, initiator))
    }
}

struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn attribute(&self, name: &str) -> Option<String> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    }

    /// What would be sent; nameless and disabled inputs and unticked boxes are not.
    fn field(&self) -> Option<Field> {
        let default = if self.name == "button" { "submit" } else { "text" };
        let kind = self.attribute("type").unwrap_or_else(|| default.to_owned()).to_ascii_lowercase();
        let unticked = matches!(kind.as_str(), "checkbox" | "radio") && self.attribute("checked").is_none();
        if self.attribute("disabled").is_some() || unticked || kind == "reset" || kind == "button" {
            return None;
        }
        let name = self.attribute("name").filter(|name| !name.is_empty())?;
        Some(Field { name, value: self.attribute("value").unwrap_or_default(), kind })
    }
}

fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let (tag, after) = read_tag(rest);
        rest = after;
        // What stands in a script or style is not markup.
        if matches!(tag.name.as_str(), "script" | "style") {
            rest = rest.split_once(&format!("</{}", tag.name)).map_or("", |(_, after)| after);
        }
        tags.push(tag);
    }
    tags
}

/// Reads one tag, from after its `<` to after its `>`.
fn read_tag(text: &str) -> (Tag, &str) {
    let end = text.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(text.len());
    let mut tag =
        Tag { name: text[..end].trim_end_matches('/').to_ascii_lowercase(), attributes: Vec::new() };
    if text.starts_with('/') {
        tag.name = text[..end].to_ascii_lowercase();
    }
    let mut rest = text[end..].trim_start();
    while !rest.is_empty() && !rest.starts_with('>') {
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>')).unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches('/').to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (raw, remaining) = match quote {
                Some(quote) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                None => {
                    let end = after.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(after.len());
                    after.split_at(end)
                }
            };
            value = unescape(raw);
            rest = remaining.trim_start();
        }
        if !name.is_empty() {
            tag.attributes.push((name, value));
        } else if end == 0 {
            // A stray `=` names nothing; step over what it had so that the walk ends.
            continue;
        }
    }
    (tag, rest.strip_prefix('>').unwrap_or(rest))
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let entity = rest.find(';').and_then(|end| Some((entity(&rest[1..end])?, end)));
        if let Some((character, end)) = entity {
            out.push(character);
            rest = &rest[end + 1..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn hidden_fields_are_kept_and_entities_decoded() {
        let html = r#"<p>1 < 2</p><form method=post action='/go?a=1&amp;b=2'><input type="hidden" name="state"
            value="a&quot;b&#x27;c"><input name=user><input type=password name=pw><input type=checkbox name=no>
            <button name="ok" value="1">Go</button></form><form><input name=other></form>"#;
        let forms = Form::all(html);
        assert_eq!(forms.len(), 2);
        assert_eq!(forms[0].action, "/go?a=1&b=2");
        let form = Form::login(html).unwrap().with_login("me@corp.example", "p w");
        let page = url::Url::parse("https://idp.example/login").unwrap();
        let sent = form.request(&page).unwrap();
        assert_eq!(sent.url.as_str(), "https://idp.example/go?a=1&b=2");
        assert_eq!(&sent.body[..], b"state=a%22b%27c&user=me%40corp.example&pw=p+w&ok=1");
    }
}
