//! NTLM by the crate `sspi`: the tokens of the handshake, and sealed messages after it.
//!
//! The challenge and the session key are random, as they must be; nothing else depends on them.
//! One context belongs to one connection: its RC4 state and sequence numbers run on, so a message
//! that is lost or out of order ends the session.

use paramedic_model::Secret;
use sspi::{
    AuthIdentity, AuthIdentityBuffers, BufferType, ClientRequestFlags, CredentialUse,
    DataRepresentation, EncryptionFlags, Ntlm, SecurityBuffer, SecurityBufferRef, Sspi, SspiImpl,
    Username,
};

use super::sealed::Sealed;

const SIGNATURE_BYTES: usize = 16;

/// The client's side of one NTLM context.
pub(crate) struct Initiator {
    ntlm: Ntlm,
    credentials: Option<AuthIdentityBuffers>,
}

impl Initiator {
    /// A context for `user` (`name`, `DOMAIN\name` or `name@domain`) that has not begun.
    ///
    /// # Errors
    ///
    /// A user name that NTLM cannot carry.
    pub(crate) fn new(user: &str, password: &Secret) -> Result<Self, String> {
        let username = Username::parse(user).map_err(|error| error.to_string())?;
        let identity = AuthIdentity { username, password: password.expose().to_owned().into() };
        let mut ntlm = Ntlm::new();
        let acquired = ntlm
            .acquire_credentials_handle()
            .with_credential_use(CredentialUse::Outbound)
            .with_auth_data(&identity)
            .execute(&mut ntlm)
            .map_err(|error| error.to_string())?;
        Ok(Self { ntlm, credentials: acquired.credentials_handle })
    }

    /// Ties the login to the channel that this token names.
    pub(crate) fn bind(&mut self, token: &[u8]) {
        self.ntlm.set_channel_bindings(token);
    }

    /// The next token: the first without `challenge`, the second in answer to the server's.
    ///
    /// # Errors
    ///
    /// A challenge that is none.
    pub(crate) fn token(&mut self, challenge: Option<&[u8]>) -> Result<Vec<u8>, String> {
        let wants = ClientRequestFlags::CONFIDENTIALITY | ClientRequestFlags::ALLOCATE_MEMORY;
        let mut input: Vec<_> = challenge
            .map(|token| SecurityBuffer::new(token.to_vec(), BufferType::Token))
            .into_iter()
            .collect();
        let mut output = vec![SecurityBuffer::new(Vec::new(), BufferType::Token)];
        let mut builder = self
            .ntlm
            .initialize_security_context()
            .with_credentials_handle(&mut self.credentials)
            .with_context_requirements(wants)
            .with_target_data_representation(DataRepresentation::Native)
            .with_input(&mut input)
            .with_output(&mut output);
        self.ntlm
            .initialize_security_context_impl(&mut builder)
            .and_then(|mut generator| generator.resolve_to_result())
            .map_err(|error| error.to_string())?;
        Ok(output.pop().map(|buffer| buffer.buffer).unwrap_or_default())
    }

    /// Seals a message to the server.
    ///
    /// # Errors
    ///
    /// Before the handshake is done.
    pub(crate) fn seal(&mut self, plain: &[u8]) -> Result<Sealed, String> {
        seal(&mut self.ntlm, plain)
    }

    /// Opens a message of the server.
    ///
    /// # Errors
    ///
    /// A message that the server of this session did not write, or not next.
    pub(crate) fn open(&mut self, sealed: &Sealed) -> Result<Vec<u8>, String> {
        open(&mut self.ntlm, sealed)
    }
}

/// Seals `plain` in a context whose handshake is done.
pub(crate) fn seal(ntlm: &mut Ntlm, plain: &[u8]) -> Result<Sealed, String> {
    let mut signature = vec![0; SIGNATURE_BYTES];
    let mut ciphertext = plain.to_vec();
    let mut buffers = [
        SecurityBufferRef::token_buf(&mut signature),
        SecurityBufferRef::data_buf(&mut ciphertext),
    ];
    ntlm.encrypt_message(EncryptionFlags::empty(), &mut buffers).map_err(|e| e.to_string())?;
    Ok(Sealed { signature, ciphertext })
}

/// Opens `sealed` in a context whose handshake is done.
pub(crate) fn open(ntlm: &mut Ntlm, sealed: &Sealed) -> Result<Vec<u8>, String> {
    // The library takes a signature of another length apart with a panic.
    if sealed.signature.len() != SIGNATURE_BYTES {
        return Err(format!("a signature of {} bytes", sealed.signature.len()));
    }
    let mut signature = sealed.signature.clone();
    let mut plain = sealed.ciphertext.clone();
    let mut buffers =
        [SecurityBufferRef::token_buf(&mut signature), SecurityBufferRef::data_buf(&mut plain)];
    ntlm.decrypt_message(&mut buffers).map_err(|error| error.to_string())?;
    Ok(plain)
}
