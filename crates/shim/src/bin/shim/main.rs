//! The executable: `plenum-shim run DIR` becomes the parent of a container (`daemon`, `serve`),
//! `plenum-shim exec DIR FILE` runs one more program inside a running one (`exec`), and `plenum-shim pause` holds the
//! namespaces of a sandbox open (`pause`). For the agent only; what
//! is read and written in `DIR` is described in the library.

mod daemon;
mod exec;
mod identity;
mod input;
mod launch;
mod pause;
mod peers;
mod program;
mod reap;
mod serve;
mod stdio;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Whatever the agent's environment left open is nobody's business in a container.
    // SAFETY: nothing of this process has opened a handle yet, so none becomes invalid under its owner.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [verb, dir] if verb == "run" => daemon::run(Path::new(dir)),
        [verb] if verb == "pause" => pause::run(),
        [verb, dir, order] if verb == "exec" => exec::run(Path::new(dir), Path::new(order)),
        _ => {
            eprintln!("plenum-shim is started by the agent: plenum-shim run DIR | exec DIR FILE | pause");
            ExitCode::from(2)
        }
    }
}
