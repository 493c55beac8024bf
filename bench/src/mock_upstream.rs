//! `mock-upstream`: an OpenAI-like endpoint that does what request headers tell it and counts what it truly sent.

use clap::Parser;
use tollgate_bench::mock::{Options, run};

fn main() -> std::io::Result<()> {
    let options = Options::parse();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run(options))
}
