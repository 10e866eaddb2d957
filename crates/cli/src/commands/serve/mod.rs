//! `coseg serve`: a page that shows all segments as they live, and their numbers for a collector of metrics.

mod assets;
mod connections;
mod gate;
mod looker;
mod metrics;
pub(crate) mod removal;
mod routes;
pub(crate) mod stream;
mod token;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::net::TcpListener;

use self::gate::Gate;
use self::looker::Looker;
use self::routes::Site;
use self::token::Token;
use crate::args::Global;
use crate::backend::Facility;
use crate::failure::{Failure, Result, io_text};
use crate::output::{self, Versioned};
use crate::stop::Stop;
use crate::time;

const EXAMPLES: &str = "\
Examples:
  $ coseg serve --port 7373
  http://127.0.0.1:7373/#token=2vVnAcE9Bj6yXq0m7ZcfQ0bLr1uYk3dTgHsWiPeNxoA
  coseg serve --read-only --open-metrics      a dashboard and a collector; nothing can be removed
  coseg serve --token-file ~/.coseg-token     the same token each time: at least 16 characters, mode 0600
  curl -H 'Authorization: Bearer TOKEN' http://127.0.0.1:7373/metrics
  curl -H 'Authorization: Bearer TOKEN' http://127.0.0.1:7373/api/scene | jq '.segments[].title'
  ssh -L 7373:127.0.0.1:7373 HOST             from elsewhere, by the same port, encrypted

Who may see it: every user of this machine can reach the port, and the server sees what you see: run by root, the \
contents of everybody's regions. So whatever tells or changes something wants the token, which is in the address that \
is printed. The part behind `#` never leaves the browser; the page keeps it for its tab and sends it itself, not as a \
cookie, which browsers would send to all other ports of this machine too. --open lets every user of this machine read, \
--open-metrics only the metrics; to remove a segment always takes the token, and --read-only forbids it altogether. \
Requests by another name than localhost or a loopback address are refused, as are those of other pages: so no page \
from elsewhere gets at it through your browser.
Nothing is looked at while nobody watches. A look attaches nothing; of each region up to 4 MiB a copy is kept in TMPDIR.

  GET  /              the page
  GET  /api/scene     all of it as one JSON document       GET  /api/segment/ID   a segment's fields and pages
  GET  /events        the same as server-sent events       GET  /events/ID        with a segment's fields and pages
  GET  /metrics       OpenMetrics                          POST /api/remove       removes a segment, after another look
Ends with Ctrl-C or SIGTERM: 130. Exit codes: 2 if it cannot listen.";

/// Show everything live as a web page, with metrics, on this machine
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Serve {
    /// The port; 0 for any that is free
    #[arg(long, default_value_t = 7373)]
    port: u16,
    /// The address to listen at; one that other machines can reach needs --expose
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = parse_address)]
    bind: IpAddr,
    /// Allow an address that other machines can reach: nothing is encrypted, and who sees the traffic has the token
    #[arg(long)]
    expose: bool,
    /// Look so often while somebody watches
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time::parse_duration)]
    every: Duration,
    /// Remove nothing, whoever asks
    #[arg(long)]
    read_only: bool,
    /// Show the page and its data without the token: to every user of this machine
    #[arg(long)]
    open: bool,
    /// Give the metrics without the token
    #[arg(long)]
    open_metrics: bool,
    /// Take the token from this file instead of making one
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Looking more often costs more than anybody sees.
const EVERY_MIN: Duration = Duration::from_millis(100);

#[derive(JsonSchema, Serialize)]
pub(crate) struct Document<'a> {
    url: &'a str,
    token: &'a str,
    read_only: bool,
}

fn parse_address(text: &str) -> std::result::Result<IpAddr, String> {
    match text {
        "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        _ => text.parse().map_err(|_| "no address, such as 127.0.0.1 or ::1, nor localhost".to_owned()),
    }
}

pub(crate) fn run(args: &Serve, global: &Global) -> Result<ExitCode> {
    if !args.bind.is_loopback() && !args.expose {
        return Err(Failure::error(format!(
            "serve: other machines can reach {}, and nothing is encrypted",
            args.bind
        ))
        .hint("ssh -L 7373:127.0.0.1:7373 HOST from the other machine, or --expose"));
    }
    let stop = Stop::on_first_signal("serve")?;
    let token = match &args.token_file {
        Some(path) => token::read(path)?,
        None => Token::new()?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("serve: start", &error))?;
    let facility = Facility::open(global)?;
    runtime.block_on(serve(args, global, facility, token, &stop))
}

async fn serve(
    args: &Serve,
    global: &Global,
    facility: Facility,
    token: Token,
    stop: &Stop,
) -> Result<ExitCode> {
    let mut signals = connections::signals()?;
    let listener = listen(args).await?;
    let address = listener.local_addr().map_err(|error| Failure::io("serve: listen", &error))?;
    let mut looker = Looker::start(facility, args.every.max(EVERY_MIN), stop)?;
    tell(args, global, address, &token)?;
    let gate = Gate {
        port: address.port(),
        is_exposed: !address.ip().is_loopback(),
        is_open: args.open,
        is_metrics_open: args.open || args.open_metrics,
        is_read_only: args.read_only,
        token,
    };
    let (end, ended) = tokio::sync::watch::channel(false);
    let router = routes::router(Site::new(gate, looker.handle(), ended.clone()));
    let serving = tokio::spawn(connections::serve(listener, router, ended));
    let failure = tokio::select! {
        () = signals.next() => Failure::interrupted(),
        () = looker.ended() => Failure::error("serve: what looks at the segments has ended"),
    };
    end.send_replace(true);
    // A panic has been told on standard error.
    let _ = serving.await;
    // Its private copies go with it.
    looker.join();
    Err(failure)
}

async fn listen(args: &Serve) -> Result<TcpListener> {
    let address = SocketAddr::new(args.bind, args.port);
    TcpListener::bind(address).await.map_err(|error| {
        let failure = Failure::error(format!("serve: listen at {address}: {}", io_text(&error)));
        failure.hint("another --port, or --port 0, which takes one that is free")
    })
}

/// Where it is, with the token: standard output, so that scripts find it there.
fn tell(args: &Serve, global: &Global, address: SocketAddr, token: &Token) -> Result<()> {
    let url = format!("http://{address}/#token={}", token.text());
    if global.json {
        return output::print_line(&Versioned::new(&Document {
            url: &url,
            token: token.text(),
            read_only: args.read_only,
        }));
    }
    output::print(&format!("{url}\n"))?;
    let all = if args.expose { "whoever can reach it" } else { "every user of this machine" };
    let readers = match (args.open, args.open_metrics) {
        (true, _) => format!("{all} may read it without the token"),
        (false, true) => format!("it wants the token; {all} may read the metrics"),
        (false, false) => "it wants the token".to_owned(),
    };
    let removes = if args.read_only { "; nothing can be removed" } else { "" };
    output::note(&format!("{readers}{removes}; Ctrl-C ends it"));
    Ok(())
}
