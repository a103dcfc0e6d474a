//! What the protocol asks of a repository, answered by git on threads that may block.

use std::io::{Read, Write};
use std::process::Stdio;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gitstratum_git::service::*;

use super::bare::{Answer, Bare, broken};

/// Does what blocks on a thread for that.
async fn block<T: Send + 'static>(work: impl FnOnce() -> Answer<T> + Send + 'static) -> Answer<T> {
    tokio::task::spawn_blocking(work).await.map_err(broken)?
}

#[async_trait]
impl Repository for Bare {
    fn object_format(&self) -> HashAlgorithm {
        self.format
    }

    async fn refs(&self) -> Answer<Refs> {
        let this = self.clone();
        block(move || this.read_refs()).await
    }

    async fn contains(&self, ids: &[ObjectId]) -> Answer<Vec<bool>> {
        let this = self.clone();
        let input: String = ids.iter().map(|id| format!("{id}\n")).collect();
        block(move || {
            let text = this.text(&["cat-file", "--batch-check", "--buffer"], &input)?;
            Ok(text.lines().map(|line| !line.ends_with(" missing")).collect())
        })
        .await
    }

    async fn is_ready(&self, wants: &[ObjectId], common: &[ObjectId]) -> Answer<bool> {
        let (this, wants, common) = (self.clone(), wants.to_vec(), common.to_vec());
        block(move || {
            for want in wants {
                let reached = this.graph(&[this.peel(&want)?.to_string()])?;
                if !common.iter().any(|id| reached.contains_key(id)) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    async fn deepen(
        &self,
        wants: &[ObjectId],
        client_shallow: &[ObjectId],
        depth: &Depth,
    ) -> Answer<Shallow> {
        let (this, wants) = (self.clone(), wants.to_vec());
        let (client, depth) = (client_shallow.to_vec(), depth.clone());
        block(move || this.new_boundary(&wants, &client, &depth)).await
    }

    async fn pack(&self, request: PackRequest, sink: &mut dyn PackSink) -> Answer<()> {
        sink.progress("Packing by git\r").await?;
        let this = self.clone();
        let mut child = block(move || this.pack_objects(&request)).await?;
        let mut stdout = child.stdout.take().expect("it is piped");
        loop {
            let read = block(move || {
                let mut part = vec![0; 100_000];
                let length = stdout.read(&mut part).map_err(broken)?;
                part.truncate(length);
                Ok((stdout, part))
            });
            let (again, part) = read.await?;
            if part.is_empty() {
                break;
            }
            stdout = again;
            if let Err(gone) = sink.pack(part.into()).await {
                let _ = child.kill();
                let _ = child.wait();
                return Err(gone);
            }
        }
        let ended = block(move || child.wait_with_output().map_err(broken)).await?;
        match ended.status.success() {
            true => Ok(()),
            false => Err(broken(String::from_utf8_lossy(&ended.stderr))),
        }
    }

    async fn push(
        &self,
        request: PushRequest,
        pack: Option<PackBody>,
        progress: &mut dyn ProgressSink,
    ) -> Answer<PushOutcome> {
        if let Some(mut pack) = pack {
            let mut command = self.git();
            command.args(["index-pack", "--stdin", "--fix-thin", "--strict"]);
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
            let mut child = command.spawn().map_err(broken)?;
            let mut stdin = child.stdin.take();
            while let (Some(part), Some(mut pipe)) = (pack.next().await, stdin.take()) {
                let Ok(part) = part else {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(RepositoryError::Gone);
                };
                let part: Bytes = part;
                let written = block(move || {
                    let is_written = pipe.write_all(&part).is_ok();
                    Ok(is_written.then_some(pipe))
                });
                stdin = written.await?;
            }
            drop(stdin);
            let ended = block(move || child.wait_with_output().map_err(broken)).await?;
            if !ended.status.success() {
                let reason = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
                let verdicts = vec![Ok(()); request.commands.len()];
                return Ok(PushOutcome { unpacked: Err(reason), verdicts });
            }
        }
        progress.progress("Updating refs by git\n").await;
        self.options.lock().unwrap().extend(request.options.iter().cloned());
        let this = self.clone();
        let verdicts = block(move || this.update_all(&request)).await?;
        Ok(PushOutcome { unpacked: Ok(()), verdicts })
    }
}
