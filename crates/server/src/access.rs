//! Who may send what: the checks that keep other people's web pages out.

use axum::http::{HeaderMap, StatusCode, Uri, header};
use paramedic_integration::Address;
use paramedic_model::Secret;
use sha2::{Digest, Sha256};

use crate::problem::Problem;

/// What the key of a form is derived for, so that the token itself is on no page.
const FORM_KEY_CONTEXT: &str = "paramedic form key 1";

/// The names and secrets that requests are checked against.
pub(crate) struct Access {
    /// `Host` values of this server.
    hosts: Vec<String>,
    token: Secret,
    form_key: String,
}

impl Access {
    pub fn new(token: Secret, address: &Address) -> Self {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
        let own = match address.host.contains(':') {
            true => format!("[{}]", address.host),
            false => address.host.to_ascii_lowercase(),
        };
        if !names.contains(&own) {
            names.push(own);
        }
        let with_port = names.iter().map(|name| format!("{name}:{}", address.port));
        let mut hosts: Vec<_> = with_port.collect();
        // A browser leaves the usual port out.
        if address.port == 80 {
            hosts.append(&mut names);
        }
        let form_key = hex(&digest(&[FORM_KEY_CONTEXT, token.expose()]));
        Self { hosts, token, form_key }
    }

    /// The key that a form of our pages carries.
    pub fn form_key(&self) -> &str {
        &self.form_key
    }

    /// That the request means this server. A foreign name that resolves to this machine would let
    /// its owner's pages read and change everything (DNS rebinding).
    pub fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let mut named = headers.get_all(header::HOST).iter();
        let host = match (named.next(), named.next()) {
            (Some(host), None) => host.to_str().ok(),
            _ => None,
        };
        let absolute = uri.authority().is_none_or(|authority| self.is_ours(authority.as_str()));
        if absolute && host.is_some_and(|host| self.is_ours(host)) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!("this server answers only to {}", self.hosts.join(", ")),
        ))
    }

    /// That the API may be read: by whoever has the token, and by our own pages.
    pub fn check_read(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match self.bearer(headers)? {
            true => Ok(()),
            false if fetch_site(headers) == Some("same-origin") => Ok(()),
            false => {
                Err(unauthorized("the API is read with the header `Authorization: Bearer TOKEN`"))
            }
        }
    }

    /// That no other site's page asks. A browser says who asks; programs say nothing.
    pub fn check_site(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let site = fetch_site(headers).is_none_or(|site| matches!(site, "same-origin" | "none"));
        let origin = headers.get(header::ORIGIN).is_none_or(|origin| {
            let name = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
            name.is_some_and(|name| self.is_ours(name))
        });
        match site && origin {
            true => Ok(()),
            false => Err(Problem::forbidden("pages of other sites may not read this server")),
        }
    }

    fn is_ours(&self, name: &str) -> bool {
        self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name))
    }

    /// That a program may change something: it has the token.
    pub fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match self.bearer(headers)? {
            true => Ok(()),
            false => Err(unauthorized("changes need the header `Authorization: Bearer TOKEN`")),
        }
    }

    /// That a form was sent by a page of this server: the browser says so, and the form has the
    /// key. Needs [`check_host`](Self::check_host) before it.
    pub fn check_form(&self, headers: &HeaderMap, key: &str) -> Result<(), Problem> {
        let foreign = || Problem::forbidden("this form was sent by a page of another site");
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let site = fetch_site(headers);
        if site.is_some_and(|site| site != "same-origin") {
            return Err(foreign());
        }
        let own = host.map(|host| format!("http://{host}"));
        let own = own.as_deref().unwrap_or_default();
        match headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default()) {
            Some(origin) if origin.eq_ignore_ascii_case(own) => {}
            // Some browsers leave `Origin` out; without either word nobody vouches for the form.
            None if site.is_some() => {}
            _ => return Err(foreign()),
        }
        match same(key, &self.form_key) {
            true => Ok(()),
            false => Err(Problem::forbidden(
                "this form is from before the server was started; go back, reload the page and \
                 send it again",
            )),
        }
    }

    /// Whether the request has the token; one with a wrong token is an error in any case.
    fn bearer(&self, headers: &HeaderMap) -> Result<bool, Problem> {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(false) };
        let given = value.to_str().ok().and_then(|value| value.split_once(' '));
        match given {
            Some((scheme, token))
                if scheme.eq_ignore_ascii_case("bearer")
                    && same(token.trim(), self.token.expose()) =>
            {
                Ok(true)
            }
            _ => Err(unauthorized(
                "that is not the token of this server; it writes a new one into its data_dir \
                 whenever it starts",
            )),
        }
    }
}

fn unauthorized(message: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, message)
}

fn fetch_site(headers: &HeaderMap) -> Option<&str> {
    headers.get("sec-fetch-site").map(|site| site.to_str().unwrap_or_default())
}

/// Whether two texts are equal, in a time that does not tell where they differ: hashes are compared,
/// and all of them.
fn same(a: &str, b: &str) -> bool {
    let (a, b) = (digest(&[a]), digest(&[b]));
    a.iter().zip(&b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

fn digest(texts: &[&str]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for text in texts {
        // Lengths in front, so that no two lists read the same.
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().to_vec()
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
