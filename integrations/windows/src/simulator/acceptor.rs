//! The server's side of NTLM, for one connection.

use sspi::{
    AuthIdentity, AuthIdentityBuffers, BufferType, CredentialUse, DataRepresentation, Ntlm,
    SecurityBuffer, SecurityStatus, ServerRequestFlags, Sspi, SspiImpl, Username,
};

/// One handshake, and the context that comes of it.
pub(super) struct Acceptor {
    ntlm: Ntlm,
    credentials: Option<AuthIdentityBuffers>,
}

/// What a token led to.
pub(super) enum Accepted {
    /// The client must answer this challenge.
    Challenge(Vec<u8>),
    /// The client is who it says it is.
    Done,
}

impl Acceptor {
    /// A context in which `user` with `password` may log in.
    pub(super) fn new(user: &str, password: &str) -> Option<Self> {
        let username = Username::new(user, None).ok()?;
        let identity = AuthIdentity { username, password: password.to_owned().into() };
        let mut ntlm = Ntlm::new();
        let acquired = ntlm
            .acquire_credentials_handle()
            .with_credential_use(CredentialUse::Inbound)
            .with_auth_data(&identity)
            .execute(&mut ntlm)
            .ok()?;
        Some(Self { ntlm, credentials: acquired.credentials_handle })
    }

    /// Takes the client's next token; `None` where it is not let in.
    pub(super) fn accept(&mut self, token: &[u8]) -> Option<Accepted> {
        let mut input = [SecurityBuffer::new(token.to_vec(), BufferType::Token)];
        let mut output = vec![SecurityBuffer::new(Vec::new(), BufferType::Token)];
        let builder = self
            .ntlm
            .accept_security_context()
            .with_credentials_handle(&mut self.credentials)
            .with_context_requirements(ServerRequestFlags::ALLOCATE_MEMORY)
            .with_target_data_representation(DataRepresentation::Native)
            .with_input(&mut input)
            .with_output(&mut output);
        let result = self
            .ntlm
            .accept_security_context_impl(builder)
            .and_then(|mut generator| generator.resolve_to_result())
            .ok()?;
        if result.status == SecurityStatus::ContinueNeeded {
            return Some(Accepted::Challenge(output.pop()?.buffer));
        }
        self.ntlm.complete_auth_token(&mut output).ok()?;
        Some(Accepted::Done)
    }

    /// The context, for sealing.
    pub(super) fn context(&mut self) -> &mut Ntlm {
        &mut self.ntlm
    }
}
