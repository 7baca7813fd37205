//! The channel binding `tls-server-end-point` (RFC 5929): it ties a login to the certificate that
//! the client saw, so that one relayed from elsewhere is refused by a server that checks.

use sha2::{Digest, Sha256, Sha384, Sha512};

/// The token for a server with this certificate (DER).
pub(crate) fn tls_server_end_point(certificate: &[u8]) -> Vec<u8> {
    // The last arc of `sha384WithRSAEncryption` and the like, and of `ecdsa-with-SHA384` and the
    // like. MD5 and SHA-1 are replaced by SHA-256, as is whatever is not known.
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    let algorithm = signature_algorithm(certificate).unwrap_or_default();
    let arc = algorithm.last().copied().unwrap_or_default();
    let hash = match (algorithm.starts_with(RSA), algorithm.starts_with(ECDSA), arc) {
        (true, _, 12) | (_, true, 3) => Sha384::digest(certificate).to_vec(),
        (true, _, 13) | (_, true, 4) => Sha512::digest(certificate).to_vec(),
        _ => Sha256::digest(certificate).to_vec(),
    };
    [b"tls-server-end-point:".as_slice(), &hash].concat()
}

/// The OID of `signatureAlgorithm`: the second element of the outer sequence.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = element(certificate)?;
    let (_, rest) = element(certificate)?;
    let (algorithm, _) = element(rest)?;
    element(algorithm).map(|(oid, _)| oid)
}

/// The content of the first DER element, and what follows it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = der.get(1..)?.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // 0x80 is the indefinite length, which DER does not have.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The skeleton of a certificate with this signature algorithm.
    fn certificate(oid: &[u8]) -> Vec<u8> {
        let wrap = |content: Vec<u8>| {
            let length = u8::try_from(content.len()).unwrap();
            [vec![0x30, length], content].concat()
        };
        let length = u8::try_from(oid.len()).unwrap();
        let algorithm = wrap([vec![0x06, length], oid.to_vec()].concat());
        wrap([wrap(vec![0x02, 0x01, 0x05]), algorithm, vec![0x03, 0x01, 0x00]].concat())
    }

    #[test]
    fn the_hash_follows_the_signature_of_the_certificate() {
        let check = |oid: &[u8], bytes: usize| {
            let token = tls_server_end_point(&certificate(oid));
            assert_eq!(token.len() - b"tls-server-end-point:".len(), bytes, "{oid:?}");
        };
        let rsa = |arc| [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, arc];
        let ecdsa = |arc| [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, arc];
        check(&rsa(5), 32);
        check(&rsa(11), 32);
        check(&rsa(12), 48);
        check(&rsa(13), 64);
        check(&ecdsa(2), 32);
        check(&ecdsa(3), 48);
        check(&ecdsa(4), 64);
        for broken in [&b""[..], b"\x30", b"\x30\x05\x01", b"\x30\xff"] {
            assert_eq!(tls_server_end_point(broken).len(), 21 + 32);
        }
    }
}
