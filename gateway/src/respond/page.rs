//! How our pages look: plain HTML and CSS, no script, light and dark. What they say is left to `words` and to `login`.

use std::fmt::Write;

use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};

use super::{Look, Next};
use crate::body::Body;
use crate::route::RESERVED_PREFIX;

/// Something to fill in or to choose.
pub(crate) enum Field {
    /// A few lines.
    Text {
        /// What the form calls it.
        name: &'static str,
        /// What people call it.
        label: &'static str,
        /// How many characters it may have.
        most: usize,
    },
    /// One of several, each with what the form and what people call it; the first is chosen already.
    Choice {
        /// What the form calls it.
        name: &'static str,
        /// What people call it.
        label: &'static str,
        /// Value and label.
        options: Vec<(String, String)>,
    },
}

/// A page under construction.
pub(crate) struct Page {
    status: StatusCode,
    title: &'static str,
    content: String,
    /// Leads on without being pressed.
    onwards: String,
    /// Numbers the fields, so that each label names its own.
    fields: usize,
}

impl Page {
    pub(crate) fn new(status: StatusCode, title: &'static str) -> Self {
        Self { status, title, content: String::new(), onwards: String::new(), fields: 0 }
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        for paragraph in text.split('\n').filter(|paragraph| !paragraph.is_empty()) {
            let _ = write!(self.content, "<p>{}</p>", escape(paragraph));
        }
        self
    }

    /// A link that looks like a button.
    pub(crate) fn link(mut self, address: &str, label: &str) -> Self {
        let _ = write!(
            self.content,
            "<p><a class=\"action\" href=\"{}\">{}</a></p>",
            escape(address),
            escape(label)
        );
        self
    }

    /// A button that changes something: nothing happens by following a link.
    pub(crate) fn button(mut self, address: &str, label: &str) -> Self {
        let _ = write!(
            self.content,
            "<form method=\"post\" action=\"{}\"><p><button class=\"action\">{}</button></p></form>",
            escape(address),
            escape(label)
        );
        self
    }

    /// The same for what is less often wanted than the button above it.
    pub(crate) fn other_link(mut self, address: &str, label: &str) -> Self {
        let (address, label) = (escape(address), escape(label));
        let _ = write!(self.content, "<p><a class=\"action other\" href=\"{address}\">{label}</a></p>");
        self
    }

    /// Leads on by itself, as if it had been pressed: the request that follows begins on this page.
    pub(crate) fn leading_to(mut self, address: &str, label: &str) -> Self {
        let _ = write!(self.onwards, "<meta http-equiv=\"refresh\" content=\"0;url={}\">", escape(address));
        self.link(address, label)
    }

    /// A form with nothing to fill in: each button says what is answered.
    pub(crate) fn form(self, action: &str, carried: &[(&str, &str)], buttons: &[(&str, &str)]) -> Self {
        self.fields(action, carried, &[], buttons)
    }

    /// A form with fields to fill in.
    pub(crate) fn fields(
        mut self,
        action: &str,
        carried: &[(&str, &str)],
        fields: &[Field],
        buttons: &[(&str, &str)],
    ) -> Self {
        let _ = write!(self.content, "<form method=\"post\" action=\"{}\">", escape(action));
        for (name, value) in carried {
            let (name, value) = (escape(name), escape(value));
            let _ = write!(self.content, "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
        }
        for field in fields {
            self.field(field);
        }
        for (index, (value, label)) in buttons.iter().enumerate() {
            let class = if index == 0 { "action" } else { "action other" };
            let (value, label) = (escape(value), escape(label));
            let _ = write!(
                self.content,
                "<button class=\"{class}\" name=\"answer\" value=\"{value}\">{label}</button> "
            );
        }
        self.content.push_str("</form>");
        self
    }

    fn field(&mut self, field: &Field) {
        self.fields += 1;
        let id = format!("f{}", self.fields);
        match field {
            Field::Text { name, label, most } => {
                let _ = write!(
                    self.content,
                    "<label for=\"{id}\">{}</label><textarea id=\"{id}\" name=\"{}\" rows=\"3\" maxlength=\"{most}\" \
                     required></textarea>",
                    escape(label),
                    escape(name)
                );
            }
            Field::Choice { name, label, options } => {
                let _ = write!(
                    self.content,
                    "<label for=\"{id}\">{}</label><select id=\"{id}\" name=\"{}\">",
                    escape(label),
                    escape(name)
                );
                for (value, shown) in options {
                    let (value, shown) = (escape(value), escape(shown));
                    let _ = write!(self.content, "<option value=\"{value}\">{shown}</option>");
                }
                self.content.push_str("</select>");
            }
        }
    }

    /// Begins a part of a page that has several.
    pub(crate) fn part(mut self, title: &str) -> Self {
        let _ = write!(self.content, "<h2>{}</h2>", escape(title));
        self
    }

    /// A form with one line to fill in.
    pub(crate) fn entry(mut self, action: &str, name: &str, label: &str, button: &str) -> Self {
        let (action, name, label, button) = (escape(action), escape(name), escape(label), escape(button));
        let _ = write!(
            self.content,
            "<form method=\"post\" action=\"{action}\"><label for=\"{name}\">{label}</label>\
             <input id=\"{name}\" name=\"{name}\" required autofocus autocomplete=\"off\" autocapitalize=\"characters\" \
             spellcheck=\"false\"><button class=\"action\">{button}</button></form>"
        );
        self
    }

    /// What to name when asking for help, and what the log can be searched for.
    pub(crate) fn code(mut self, code: &str, reference: &str) -> Self {
        let _ = write!(
            self.content,
            "<dl><dt>Code</dt><dd>{}</dd><dt>Reference</dt><dd>{}</dd></dl>",
            escape(code),
            escape(reference)
        );
        self
    }

    pub(super) fn next(self, next: &Next) -> Self {
        match next {
            Next::Nothing => self,
            Next::Again => self.link("", "Try again"),
            Next::SignIn(address) => self.link(address, "Sign in"),
            Next::Open(address) => self.link(address, "Open the application again"),
            Next::SignOut => self.link(&format!("{RESERVED_PREFIX}logout"), "Sign in as somebody else"),
        }
    }

    pub(super) fn into_response(self, look: &Look) -> Response<Body> {
        let title = escape(self.title);
        let Look { style, header, footer, suffix, .. } = look;
        let html = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\">\
             <title>{title}{suffix}</title>{}<style>{style}</style></head>\
             <body>{header}<main><h1>{title}</h1>{}</main>{footer}</body></html>\n",
            self.onwards, self.content
        );
        let mut response = Response::new(Body::from(html));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(CONTENT_SECURITY_POLICY, look.policy.clone());
        response
    }
}

pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}
