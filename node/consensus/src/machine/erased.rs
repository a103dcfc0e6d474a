//! Machines behind one type, so that the engine is compiled once and not for each of them.

use std::any::Any;

use bytes::Bytes;

use super::{LoadError, Loader, Machine};

/// Any machine.
pub(crate) trait AnyMachine: Send + Sync {
    fn apply(&mut self, index: u64, command: &Bytes) -> Bytes;
    fn save(&self) -> Box<dyn Iterator<Item = Bytes> + Send + '_>;
    fn copy(&self) -> Box<dyn AnyMachine>;
    fn as_any(&self) -> &dyn Any;
}

impl<M: Machine> AnyMachine for M {
    fn apply(&mut self, index: u64, command: &Bytes) -> Bytes {
        Machine::apply(self, index, command)
    }

    fn save(&self) -> Box<dyn Iterator<Item = Bytes> + Send + '_> {
        Machine::save(self)
    }

    fn copy(&self) -> Box<dyn AnyMachine> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Any machine's loader.
pub(crate) trait AnyLoader: Send {
    fn take(&mut self, part: Bytes) -> Result<(), LoadError>;
    fn finish(self: Box<Self>) -> Result<Box<dyn AnyMachine>, LoadError>;
}

impl<L: Loader<Machine: Machine>> AnyLoader for L {
    fn take(&mut self, part: Bytes) -> Result<(), LoadError> {
        Loader::take(self, part)
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn AnyMachine>, LoadError> {
        Ok(Box::new(Loader::finish(*self)?))
    }
}

/// Makes loaders of one kind of machine.
pub(crate) type NewLoader = fn() -> Box<dyn AnyLoader>;

/// That of a machine.
pub(crate) fn loader_of<M: Machine>() -> Box<dyn AnyLoader> {
    Box::new(M::Loader::default())
}
