//! A thin WS-Management client: one session on one stream, NTLM or Basic, queries and methods.
//!
//! ```text
//!   Endpoint --log_in--> Session --exchange--> Answer      message, xml: what is said
//!                           |                              sealed, ntlm: how it is hidden
//!                        one stream                        wql: what may be asked
//! ```
//!
//! Who may ask what is not decided here: see [`crate::host`], where looking and acting part.

mod binding;
mod message;
pub(crate) mod ntlm;
pub(crate) mod sealed;
mod session;
mod wql;
pub(crate) mod xml;

pub(crate) use message::{Message, Page, fault_code};
pub(crate) use session::{Denials, Endpoint, ExchangeError, Identity, Scheme, Session};
pub(crate) use wql::{Namespace, Query, dmtf};
pub(crate) use xml::Element;

/// The first words of a text on one line, for a message.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN: usize = 160;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
