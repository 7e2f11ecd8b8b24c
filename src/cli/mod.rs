//! The command line: one file a command.
//!
//! Every command ends with 0 (done, nothing wrong), 1 (findings) or 2 (could not run).

mod access;
mod app;
mod audit;
mod clone;
mod demo;
mod doctor;
mod drift;
mod explain;
mod grants;
mod import;
mod init;
mod list;
mod owners;
mod plan;
mod policy;
mod proposed;
mod reconcile;
mod recover;
mod renew;
mod request;
mod return_;
mod serve;
mod show;
mod table;
mod validate;
mod visible;
mod who;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Access requests as pull requests: reviewed by code owners, granted on merge, gone on time, proved by git.
#[derive(Debug, Parser)]
#[command(
    name = "hallpass",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What can be done. A new command is a file, a line here and a line in `Command::run`.
#[derive(Debug, Subcommand)]
enum Command {
    Access(access::Access),
    App(app::App),
    Audit(audit::Audit),
    Demo(demo::Demo),
    Doctor(doctor::Doctor),
    Drift(drift::Compare),
    Explain(explain::Explain),
    Import(import::ImportCommand),
    Init(init::Init),
    List(list::List),
    Owners(owners::Owners),
    Plan(plan::Plan),
    Policy(policy::Policy),
    Reconcile(reconcile::Reconcile),
    Recover(recover::Recover),
    Renew(renew::Renew),
    Request(request::Request),
    Return(return_::Return),
    Serve(serve::Serve),
    Show(show::Show),
    Validate(validate::Validate),
    Who(who::Who),
}

impl Command {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Access(access) => access.run(),
            Self::App(app) => app.run(),
            Self::Audit(audit) => audit.run(),
            Self::Demo(demo) => demo.run(),
            Self::Doctor(doctor) => doctor.run(),
            Self::Drift(compare) => compare.run(),
            Self::Explain(explain) => explain.run(),
            Self::Import(import) => import.run(),
            Self::Init(init) => init.run(),
            Self::List(list) => list.run(),
            Self::Owners(owners) => owners.run(),
            Self::Plan(plan) => plan.run(),
            Self::Policy(policy) => policy.run(),
            Self::Reconcile(once) => once.run(),
            Self::Recover(recover) => recover.run(),
            Self::Renew(renew) => renew.run(),
            Self::Request(request) => request.run(),
            Self::Return(back) => back.run(),
            Self::Serve(serve) => serve.run(),
            Self::Show(show) => show.run(),
            Self::Validate(validate) => validate.run(),
            Self::Who(who) => who.run(),
        }
    }
}

/// Runs the command that the arguments of the process name, and tells how it ended.
pub fn run() -> ExitCode {
    match Arguments::parse().command.run() {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Writes to standard output, without colours where it is no terminal. A reader that has gone away is no error.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
