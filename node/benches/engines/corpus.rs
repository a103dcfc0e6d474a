//! The objects: the same ones, in the same order, for every contender.
//!
//! Everything is drawn from seeded ChaCha streams. Half of the objects, chosen by a coin,
//! are noise, which no engine can compress, as most of a tree's bytes are; the other half
//! is text: made-up words of 2 to 10 letters out of a vocabulary of 4,096, the frequent
//! ones first as in any language, with spaces between them and a line end after every
//! twelfth or so. Every object begins with its own number, so that no two are equal. Ids
//! are what Git would compute, and are computed here, before any clock starts; the objects
//! know that, as they do wherever an object enters the cluster.

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectHasher, ObjectId};
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Outcome;
use crate::sizes::Sizes;

/// Objects of one block at most. A block is what a bulk load puts at once.
const BLOCK_OBJECTS_MAX: u64 = 4096;
/// Past this many bytes a block is complete.
const BLOCK_BYTES_MAX: usize = 4 << 20;
/// Bytes of the number that every object begins with; also the least size of an object.
pub const NUMBER_BYTES: usize = 8;
/// Words that text is made of.
const VOCABULARY: usize = 4096;

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Where everything is drawn from.
    pub seed: u64,
    /// Number of objects.
    pub objects: u64,
    /// Their sizes.
    pub sizes: Sizes,
}

/// Objects in memory, in blocks.
pub struct Corpus {
    /// In the order in which they are put.
    pub blocks: Vec<Block>,
    /// Objects of all blocks.
    pub objects: u64,
    /// Data of all objects, in bytes.
    pub payload_bytes: u64,
}

/// A run of objects that share one buffer.
pub struct Block {
    /// The data of all objects, one after another.
    pub data: Bytes,
    objects: Vec<Object>,
}

impl Corpus {
    /// Draws the objects and computes their ids.
    ///
    /// # Errors
    /// When a hash bears the marks of a collision attack, which noise does not.
    pub fn draw(recipe: &Recipe) -> Outcome<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed);
        let vocabulary = Vocabulary::draw(&mut rng);
        let mut corpus = Corpus { blocks: Vec::new(), objects: 0, payload_bytes: 0 };
        while corpus.objects < recipe.objects {
            let block = Block::draw(recipe, corpus.objects, &vocabulary, &mut rng)?;
            corpus.objects += block.objects.len() as u64;
            corpus.payload_bytes += block.data.len() as u64;
            corpus.blocks.push(block);
        }
        Ok(corpus)
    }

    /// The ids of all objects, in order.
    pub fn ids(&self) -> impl Iterator<Item = ObjectId> {
        self.blocks.iter().flat_map(|block| block.objects.iter().map(Object::id))
    }

    /// Where each object ends when all data is written one after another, in bytes.
    pub fn ends(&self) -> impl Iterator<Item = u64> {
        let objects = self.blocks.iter().flat_map(|block| &block.objects);
        objects.scan(0, |end, object| {
            *end += object.size_bytes();
            Some(*end)
        })
    }
}

impl Block {
    fn draw(
        recipe: &Recipe,
        first: u64,
        vocabulary: &Vocabulary,
        rng: &mut ChaCha8Rng,
    ) -> Outcome<Self> {
        let mut data = Vec::new();
        let mut heads = Vec::new();
        let last = recipe.objects.min(first + BLOCK_OBJECTS_MAX);
        for number in first..last {
            if data.len() >= BLOCK_BYTES_MAX {
                break;
            }
            let (begin, kind) = (data.len(), draw_kind(rng));
            let size = recipe.sizes.draw(rng).max(NUMBER_BYTES as u32);
            data.resize(begin + size as usize, 0);
            let object = &mut data[begin..];
            match rng.random() {
                true => vocabulary.fill(object, rng),
                false => rng.fill_bytes(object),
            }
            object[..NUMBER_BYTES].copy_from_slice(&number.to_le_bytes());
            let mut hasher = ObjectHasher::plain(HashAlgorithm::Sha1, kind, size.into());
            hasher.update(object);
            heads.push((hasher.finish()?, kind, begin..data.len()));
        }
        let data = Bytes::from(data);
        let object = |(id, kind, place)| Object::claimed(id, kind, data.slice(place)).verified();
        let objects = heads.into_iter().map(object).collect::<Result<_, _>>()?;
        Ok(Block { data, objects })
    }

    /// Its objects, which share its buffer.
    pub fn objects(&self) -> Vec<Object> {
        self.objects.clone()
    }

    /// The same as a peer sends them: nobody has computed their ids yet.
    pub fn claimed(&self) -> Vec<Object> {
        let claimed =
            |object: &Object| Object::claimed(object.id(), object.kind(), object.data().clone());
        self.objects.iter().map(claimed).collect()
    }
}

/// Kinds in about the proportions of real repositories.
fn draw_kind(rng: &mut impl Rng) -> Kind {
    match rng.random_range(0..100) {
        0..50 => Kind::Blob,
        50..80 => Kind::Tree,
        80..98 => Kind::Commit,
        _ => Kind::Tag,
    }
}

/// Made-up words, the frequent ones first.
struct Vocabulary(Vec<Vec<u8>>);

impl Vocabulary {
    fn draw(rng: &mut impl Rng) -> Self {
        let letters = b"eeeeettttaaaooiinnsshhrrddlucmfwypvbgkjqxz";
        let word = |rng: &mut _| -> Vec<u8> {
            let len = Rng::random_range(rng, 2..=10);
            let mut draw = || *letters.choose(rng).expect("there are letters");
            (0..len).map(|_| draw()).collect()
        };
        Vocabulary((0..VOCABULARY).map(|_| word(rng)).collect())
    }

    /// Fills a buffer with words.
    fn fill(&self, mut rest: &mut [u8], rng: &mut impl RngCore) {
        while !rest.is_empty() {
            let drawn = rng.next_u64();
            // The cube of an even draw: an eighth of the words makes half of the text.
            let even = (drawn >> 32) as f64 / f64::from(u32::MAX);
            let index = (even * even * even * VOCABULARY as f64) as usize;
            let word = &self.0[index.min(VOCABULARY - 1)];
            let len = word.len().min(rest.len());
            rest[..len].copy_from_slice(&word[..len]);
            rest = &mut rest[len..];
            if let Some(space) = rest.first_mut() {
                *space = if drawn.is_multiple_of(12) { b'\n' } else { b' ' };
                rest = &mut rest[1..];
            }
        }
    }
}

/// Ids that no object of any corpus has.
pub fn absent_ids(seed: u64, count: usize) -> Vec<ObjectId> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || {
        let mut raw = [0; 20];
        rng.fill_bytes(&mut raw);
        ObjectId::from_bytes(&raw).expect("twenty bytes are an id")
    };
    (0..count).map(|_| draw()).collect()
}
