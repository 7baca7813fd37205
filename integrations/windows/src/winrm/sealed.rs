//! The body of a sealed message: `multipart/encrypted` as [MS-WSMV] 2.2.9.1 writes it.
//!
//! ```text
//! --Encrypted Boundary
//!     Content-Type: application/HTTP-SPNEGO-session-encrypted
//!     OriginalContent: type=application/soap+xml;charset=UTF-8;Length=1234
//! --Encrypted Boundary
//!     Content-Type: application/octet-stream
//! <u32 LE length of the signature><signature><ciphertext>--Encrypted Boundary--
//! ```
//!
//! It looks like MIME and is not: no line end stands between the ciphertext and the boundary.

/// The media type of a sealed message.
pub(crate) const CONTENT_TYPE: &str = "multipart/encrypted;protocol=\"application/HTTP-SPNEGO-session-encrypted\";boundary=\"Encrypted Boundary\"";
/// The media type of a message in the clear.
pub(crate) const SOAP_TYPE: &str = "application/soap+xml;charset=UTF-8";

const BOUNDARY: &[u8] = b"--Encrypted Boundary";
const OCTETS: &[u8] = b"application/octet-stream";

/// A message with its signature, as NTLM made them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Sixteen bytes for NTLM.
    pub signature: Vec<u8>,
    /// As long as the message.
    pub ciphertext: Vec<u8>,
}

impl Sealed {
    /// The body that carries this message.
    pub(crate) fn to_body(&self) -> Vec<u8> {
        let mut body = format!(
            "--Encrypted Boundary\r\n\
             \tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n\
             \tOriginalContent: type={SOAP_TYPE};Length={}\r\n\
             --Encrypted Boundary\r\n\
             \tContent-Type: application/octet-stream\r\n",
            self.ciphertext.len()
        )
        .into_bytes();
        let signature_bytes = u32::try_from(self.signature.len()).unwrap_or(u32::MAX);
        body.extend_from_slice(&signature_bytes.to_le_bytes());
        body.extend_from_slice(&self.signature);
        body.extend_from_slice(&self.ciphertext);
        body.extend_from_slice(b"--Encrypted Boundary--\r\n");
        body
    }

    /// Reads such a body.
    ///
    /// # Errors
    ///
    /// What does not fit, in words for a message.
    pub(crate) fn from_body(body: &[u8]) -> Result<Self, String> {
        if !body.starts_with(BOUNDARY) {
            return Err("a sealed message does not begin with its boundary".to_owned());
        }
        let at = find(body, OCTETS).ok_or("a sealed message without its second part")?;
        let rest = &body[at + OCTETS.len()..];
        let rest = rest.strip_prefix(b"\r\n").ok_or("a sealed message without a line end")?;
        let end = rest
            .windows(BOUNDARY.len() + 2)
            .rposition(|window| window.starts_with(BOUNDARY) && window.ends_with(b"--"))
            .ok_or("a sealed message without its closing boundary")?;
        let data = &rest[..end];
        let (length, data) = data.split_at_checked(4).ok_or("a sealed message that is cut off")?;
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (signature, ciphertext) =
            data.split_at_checked(length).ok_or("a sealed message that is cut off")?;
        let stated = stated_length(&body[..at]).ok_or("a sealed message without its length")?;
        if stated != ciphertext.len() {
            return Err(format!(
                "a sealed message of {} bytes that claims to be {stated}",
                ciphertext.len()
            ));
        }
        Ok(Self { signature: signature.to_vec(), ciphertext: ciphertext.to_vec() })
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn stated_length(head: &[u8]) -> Option<usize> {
    const KEY: &[u8] = b"Length=";
    let digits = &head[find(head, KEY)? + KEY.len()..];
    let digits: Vec<u8> = digits.iter().copied().take_while(u8::is_ascii_digit).collect();
    String::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back_whatever_the_ciphertext_holds() {
        for ciphertext in [&b""[..], b"abc", b"--Encrypted Boundary--\r\n", b"\0\xff--"] {
            let sealed = Sealed { signature: vec![7; 16], ciphertext: ciphertext.to_vec() };
            assert_eq!(Sealed::from_body(&sealed.to_body()), Ok(sealed));
        }
    }

    #[test]
    fn a_body_that_is_cut_or_lies_is_refused() {
        let sealed = Sealed { signature: vec![7; 16], ciphertext: b"abc".to_vec() }.to_body();
        for cut in 0..sealed.len() - 2 {
            assert!(Sealed::from_body(&sealed[..cut]).is_err(), "{cut}");
        }
        let mut lying = sealed;
        let at = find(&lying, b"Length=3").unwrap();
        lying[at + 7] = b'4';
        assert!(Sealed::from_body(&lying).unwrap_err().contains("claims to be 4"));
    }
}
