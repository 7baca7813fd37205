use std::path::PathBuf;

use paramedic_model::Secret;

use crate::Auth;

/// Credentials as a configuration states them: a secret that stands in a file is read for every
/// request, so that a new one takes effect without a restart.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A user and a password.
    Basic {
        /// The user.
        user: SecretSource,
        /// The password.
        password: SecretSource,
    },
    /// What stands in the header `Authorization` behind a scheme such as `Bearer`.
    Scheme {
        /// The scheme.
        scheme: String,
        /// What follows it.
        credentials: SecretSource,
    },
}

/// Where a secret is found.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// It is stated.
    Stated(Secret),
    /// It is what the file holds, blanks around it not counted.
    File(PathBuf),
}

impl Credentials {
    /// Their secret, where the configuration states it.
    pub(crate) fn stated(&self) -> Option<&Secret> {
        let (Credentials::Basic { password: source, .. }
        | Credentials::Scheme { credentials: source, .. }) = self;
        match source {
            SecretSource::Stated(secret) => Some(secret),
            SecretSource::File(_) => None,
        }
    }

    /// As they are now.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, by its path.
    pub fn read(&self) -> Result<Auth, String> {
        Ok(match self {
            Credentials::Basic { user, password } => {
                Auth::Basic { user: user.read()?, password: password.read()? }
            }
            Credentials::Scheme { scheme, credentials } => {
                Auth::Other { scheme: scheme.clone(), credentials: credentials.read()? }
            }
        })
    }
}

impl SecretSource {
    /// The secret as it is now.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, by its path.
    pub fn read(&self) -> Result<Secret, String> {
        match self {
            SecretSource::Stated(secret) => Ok(secret.clone()),
            SecretSource::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(Secret::new(text.trim())),
                Err(error) => Err(format!("cannot read {}: {error}", path.display())),
            },
        }
    }
}
