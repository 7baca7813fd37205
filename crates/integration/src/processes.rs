use std::collections::BTreeMap;
use std::io;
use std::process::Stdio;

use paramedic_model::BoxFuture;

/// Starts local processes: real ones in `serve`, none or scripted ones elsewhere.
pub trait Processes: Send + Sync {
    /// Runs `program` with `args`, without a shell, with an empty standard input and only
    /// `environment`, and waits for its end. It may wait for ever: the caller sets the deadline,
    /// and dropping the future kills the process.
    ///
    /// # Errors
    ///
    /// Where the program cannot be started.
    fn run<'a>(
        &'a self,
        program: &'a str,
        args: &'a [String],
        environment: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, io::Result<Finished>>;
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output, invalid UTF-8 replaced.
    pub stdout: String,
    /// What it wrote to standard error, invalid UTF-8 replaced.
    pub stderr: String,
}

/// The processes of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsProcesses;

impl Processes for OsProcesses {
    fn run<'a>(
        &'a self,
        program: &'a str,
        args: &'a [String],
        environment: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, io::Result<Finished>> {
        Box::pin(async move {
            #[expect(clippy::disallowed_methods, reason = "the one place that starts a process")]
            let mut command = tokio::process::Command::new(program);
            command.args(args).env_clear().envs(environment);
            command.stdin(Stdio::null()).kill_on_drop(true);
            let output = command.output().await?;
            Ok(Finished {
                code: output.status.code(),
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            })
        })
    }
}
