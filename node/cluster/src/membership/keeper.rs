//! Layout persistence.
//!
//! The layout in force, durable in the data directory.
//!
//! Invariant: a layout is durable before it is in force, so that no restart goes back behind
//! one that this node was told, or acted by; and the newest of what is kept and what is
//! configured is in force from the start.

use std::sync::Arc;

use bytes::Bytes;
use gitstratum_core::config_text::ConfigError;
use gitstratum_core::placement::{
    CurrentLayout, Layout, LayoutRefused, layout_from_toml, layout_to_toml,
};
use gitstratum_host::Disk;
use gitstratum_host::disk::{OpenMode, is_full, is_read_only};

/// The file in the data directory: a layout document like the operator's, with the history.
pub const FILE: &str = "layout.toml";

/// Why a layout was not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// It may not follow the one in force.
    #[error(transparent)]
    Refused(#[from] LayoutRefused),
    /// The configuration contradicts what is kept.
    #[error("the configuration and {FILE} in the data directory disagree: {0}")]
    Contradicted(#[source] LayoutRefused),
    /// What is kept cannot be understood.
    #[error("the layout kept in the data directory cannot be read: {0}")]
    Damaged(#[source] ConfigError),
    /// What is kept cannot be read, or the new one not written.
    #[error("{doing} {FILE}: {source}")]
    Io {
        /// read or write
        doing: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// Keeps one node's layout. Cheap to clone.
#[derive(Clone)]
pub struct LayoutKeeper {
    disk: Disk,
    current: CurrentLayout,
    /// Held from the judgement of a layout to its coming into force.
    taking: Arc<tokio::sync::Mutex<()>>,
}

impl LayoutKeeper {
    /// Brings the newer of the kept and the configured layout into force. The data
    /// directory must be locked by this process. One that was kept when there were no cluster
    /// ids is of the configured cluster.
    ///
    /// # Errors
    /// [`KeepError`].
    pub async fn open(disk: Disk, configured: Layout) -> Result<Self, KeepError> {
        let (kept, text) = read(&disk).await?.unzip();
        // A node that is alone contradicts nobody when it moves.
        let kept = kept.filter(|kept| kept.members.len() > 1 || configured.members.len() > 1);
        let kept = match &configured.cluster {
            Some(ours) => kept.map(|kept| kept.of_cluster(ours)).transpose(),
            None => Ok(kept),
        };
        let kept = kept.map_err(|other| KeepError::Contradicted(other.into()))?;
        let first = kept.clone().unwrap_or_else(|| configured.clone());
        let current = CurrentLayout::durable(first);
        let keeper = LayoutKeeper { disk, current, taking: Arc::default() };
        if kept.is_none() {
            // Written only where it says something else: there may be no room.
            if text.as_deref() != Some(layout_to_toml(&configured).as_bytes()) {
                keeper.write_alone(&configured, text.is_none()).await?;
            }
            return Ok(keeper);
        }
        match keeper.take(&configured).await {
            Ok(_) => {}
            Err(KeepError::Io { source, .. }) if takes_nothing(&source) => {
                let (configured, kept) = (configured.version, keeper.current.version());
                tracing::warn!(
                    configured, kept, error = %source,
                    "no room to keep the configured layout: the one that is kept stays in force"
                );
            }
            Err(KeepError::Refused(LayoutRefused::Older { given, in_force })) => {
                tracing::info!(configured = given, in_force, "a newer layout was kept");
            }
            Err(KeepError::Refused(refused)) => return Err(KeepError::Contradicted(refused)),
            Err(error) => return Err(error),
        }
        Ok(keeper)
    }

    /// The layout in force.
    pub fn current(&self) -> &CurrentLayout {
        &self.current
    }

    /// Makes a layout durable that somebody applies, and brings it into force; says whether
    /// that changed anything. It is the one in force or the next one, and its history is
    /// known here ([`CurrentLayout::check_step`]).
    ///
    /// # Errors
    /// [`KeepError`]; what is in force stays.
    pub async fn apply(&self, layout: &Layout) -> Result<bool, KeepError> {
        self.take_if(layout, CurrentLayout::check_step).await
    }

    /// Makes a layout durable that a peer or the configuration holds, and brings it into
    /// force; says whether that changed anything. It may be several versions ahead: each was
    /// one step where it was made.
    ///
    /// # Errors
    /// [`KeepError`]; what is in force stays.
    pub async fn take(&self, layout: &Layout) -> Result<bool, KeepError> {
        self.take_if(layout, |_, _| Ok(())).await
    }

    async fn take_if(
        &self,
        layout: &Layout,
        check: fn(&CurrentLayout, &Layout) -> Result<(), LayoutRefused>,
    ) -> Result<bool, KeepError> {
        let keeper = self.clone();
        let layout = layout.clone();
        // In a task of its own: a caller that goes away does not leave it half done.
        let taken = tokio::spawn(async move {
            let _taking = keeper.taking.lock().await;
            check(&keeper.current, &layout)?;
            let Some(next) = keeper.current.succession(&layout)? else { return Ok(false) };
            keeper.write(&next).await?;
            let changed = keeper.current.replace(&next)?;
            tracing::info!(version = next.version, "layout in force");
            Ok(changed)
        });
        taken.await.unwrap_or_else(|error| {
            Err(KeepError::Io { doing: "write", source: std::io::Error::other(error) })
        })
    }

    /// Takes the layout that a peer holds, if that says more than ours; a refusal is logged.
    pub async fn offer(&self, held: &Layout) {
        if !self.current.get().is_outdone_by(held) {
            return;
        }
        if let Err(error) = self.take(held).await {
            tracing::warn!(version = held.version, %error, "a peer's layout was not taken");
        }
    }

    /// Keeps the layout of a node that is alone, which goes by its configuration whatever is
    /// kept: only in a new directory it has to be.
    async fn write_alone(&self, layout: &Layout, is_first: bool) -> Result<(), KeepError> {
        match self.write(layout).await {
            Err(KeepError::Io { source, .. }) if !is_first && takes_nothing(&source) => {
                tracing::warn!(error = %source, "no room to keep the layout, which counts all the same");
                Ok(())
            }
            written => written,
        }
    }

    async fn write(&self, layout: &Layout) -> Result<(), KeepError> {
        let text = Bytes::from(layout_to_toml(layout));
        let written = self.disk.replace(FILE, text).await;
        written.map_err(|source| KeepError::Io { doing: "write", source })
    }
}

/// Whether a write failed because nothing more can be written.
fn takes_nothing(error: &std::io::Error) -> bool {
    is_full(error) || is_read_only(error)
}

/// The layout that is kept, if there is one, and its text.
pub(super) async fn read(disk: &Disk) -> Result<Option<(Layout, Bytes)>, KeepError> {
    let failed = |source| KeepError::Io { doing: "read", source };
    match disk.open(FILE, OpenMode::Read).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => drop(opened.map_err(failed)?),
    }
    let bytes = disk.read_whole(FILE).await.map_err(failed)?;
    let text = std::str::from_utf8(&bytes).map_err(std::io::Error::other).map_err(failed)?;
    let layout = layout_from_toml(text, FILE).map_err(KeepError::Damaged)?;
    Ok(Some((layout, bytes)))
}

/// The layout that a data directory keeps, with its history.
///
/// # Errors
/// [`KeepError`].
pub async fn kept_layout(disk: &Disk) -> Result<Option<Layout>, KeepError> {
    Ok(read(disk).await?.map(|(layout, _)| layout))
}
