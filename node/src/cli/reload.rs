//! SIGHUP: a node reads its configuration again.
//!
//! The levels of the log and the layout follow the file; all else counts from the next start on, and
//! is named, so that nobody takes it for done.

use std::path::PathBuf;
use std::sync::Arc;

use gitstratum_cluster::membership::LayoutKeeper;
use gitstratum_cluster::wire::status::chain;
use gitstratum_core::placement::Layout;
use gitstratum_host::signal::Hangups;

use super::logging::Levels;
use super::serve::load;
use crate::catalog::Participant;
use crate::config::{ConfigOverrides, LoadedConfig};

/// What SIGHUP reads again.
pub(super) struct Reload {
    /// The file, if there is one.
    pub(super) file: Option<PathBuf>,
    /// What goes before it.
    pub(super) overrides: ConfigOverrides,
    /// What the node goes by since its start.
    pub(super) loaded: LoadedConfig,
    pub(super) levels: Levels,
    pub(super) layout: LayoutKeeper,
    /// Agrees on layouts, where there is one.
    pub(super) catalog: Option<Arc<Participant>>,
}

impl Reload {
    /// Reads the configuration again at every SIGHUP. The levels of the log are those of the file
    /// from then on, and its layout is brought into force, by the catalog where there is one. What
    /// else has changed counts from the next start on, and is named.
    pub(super) async fn at_each(self, mut hangups: Hangups) {
        loop {
            hangups.next().await;
            let Some(file) = &self.file else {
                tracing::warn!("SIGHUP: there is no configuration file to read again");
                continue;
            };
            match load(Some(file), &self.overrides, None).await {
                Ok(loaded) => self.take(&loaded).await,
                Err(error) => {
                    let config = file.display();
                    tracing::error!(%config, %error, "SIGHUP: refused; nothing changes");
                }
            }
        }
    }

    async fn take(&self, loaded: &LoadedConfig) {
        match self.levels.follow(&loaded.config.log) {
            Ok(()) => tracing::info!("SIGHUP: the configuration was read again"),
            Err(error) => tracing::error!(error, "SIGHUP: log.levels: refused; the levels stay"),
        }
        match self.loaded.fields_changed_in(loaded) {
            Ok(changed) if changed.is_empty() => {}
            Ok(changed) => {
                let changed = changed.join(", ");
                tracing::warn!(
                    changed,
                    "SIGHUP: what has changed here counts from the next start on"
                );
            }
            Err(error) => tracing::error!(%error, "SIGHUP: it cannot be said what has changed"),
        }
        let current = self.layout.current().get();
        let in_force = current.version;
        if loaded.config.alone || loaded.config.layout == *current {
            tracing::info!(in_force, "SIGHUP: the layout stays as it is");
            return;
        }
        match self.propose(&loaded.config.layout).await {
            Ok(true) => {}
            Ok(false) => tracing::info!(in_force, "SIGHUP: the layout is in force already"),
            Err(error) => tracing::error!(error, in_force, "SIGHUP: refused; the layout stays"),
        }
    }

    async fn propose(&self, layout: &Layout) -> Result<bool, String> {
        match &self.catalog {
            Some(catalog) => catalog.propose_layout(layout).await.map_err(|error| chain(&error)),
            None => self.layout.apply(layout).await.map_err(|error| chain(&error)),
        }
    }
}
