//! `hallpass demo --keep`: the same stage, left standing for a newcomer to walk on.

use tokio_util::sync::CancellationToken;

use super::stage::{PEOPLE, REPO, Stage};
use super::teller::Teller;

/// What a newcomer may ask for at the stand-in's page.
pub const TRY: (&str, &str) = (
    "access/grants/orders/{you}-try-it.yaml",
    "person: {you}\nrole: readonly\nduration: 10m\nreason: Tries how Hallpass feels.\nticket: INC-1\nrisk: None; nothing here is real.\n",
);

/// Fills the stage, says where it is, and leaves it standing until somebody ends it.
pub async fn keep(stage: &Stage, teller: &mut Teller<'_>) -> anyhow::Result<()> {
    teller.line("");
    teller.heading("A working day: several people ask at once");
    stage.sandbox.example(REPO, TRY.0, TRY.1);
    let stop = CancellationToken::new();
    tokio::spawn(crate::app::serve::stop_on_signal(stop.clone())?);
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        filled = stage.enliven() => filled?,
    }
    tell(stage, teller);
    stop.cancelled().await;
    teller.line("");
    teller.line("Stopping: finishing what is under way.");
    Ok(())
}

fn tell(stage: &Stage, teller: &mut Teller<'_>) {
    let pages = stage.sandbox.url();
    let row = |name: &str, value: String| (name.to_owned(), value);
    teller.line("");
    teller.heading("Everything runs. Open in a browser, each link as that person:");
    teller.line("");
    let mut rows = Vec::new();
    for (login, what) in PEOPLE {
        rows.push(row(&format!("{login}, {what}"), stage.entrance(login)));
    }
    teller.table(&rows);
    teller.line("");
    teller.line("  What they do at GitHub is done at the stand-in's own page:");
    teller.line("");
    teller.table(&[
        row("requests, reviews, files", format!("{pages}/acme/{REPO}")),
        row(
            "ask for access",
            format!("{pages}/login?as=ada&return_to=/acme/{REPO}/new/main?example=1"),
        ),
    ]);
    teller.line("");
    teller.line(
        "  Ask as ada, approve it as grace, and watch the access appear. Ctrl-C ends it all.",
    );
}
