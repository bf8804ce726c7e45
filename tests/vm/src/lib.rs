//! Small virtual machines for tests: a machine of its own to run Plenum in, whose power a test may cut.
//!
//! [`Image`] is what every machine starts from: Debian's cloud kernel, a busybox and the programs to be run. [`Disk`] is
//! a disk with a cache that is lost with the power, as a real one's. [`Machine`] is what runs: boot it, talk to it, cut
//! it. The processor is emulated in software, so this works wherever QEMU does, at about a tenth of the speed.
#![deny(missing_docs)]

mod archive;
mod disk;
mod image;
mod machine;
mod nbd;

pub use disk::Disk;
pub use image::Image;
pub use machine::Machine;
