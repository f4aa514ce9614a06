//! How RocksDB is run: a small database on whose word everything else rests.

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, LogLevel,
    Options, ReadOptions, WriteOptions,
};

use crate::keys;

const CACHE_BYTES: usize = 32 << 20;
const RECORDS_BUFFER_BYTES: usize = 16 << 20;
const OTHER_BUFFER_BYTES: usize = 2 << 20;
/// Beyond this, what the oldest log still holds is flushed, so that a restart replays little.
const WAL_BYTES: u64 = 64 << 20;
const INFO_LOG_BYTES: usize = 1 << 20;
const INFO_LOGS: usize = 4;
const OPEN_FILES: i32 = 256;

pub(crate) fn database() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    // Every commit is synced, so only the last batch of a log can be torn, and nobody was told of it.
    // The default, point in time, would drop everything behind any damage without a word.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_max_total_wal_size(WAL_BYTES);
    options.set_max_open_files(OPEN_FILES);
    options.set_max_background_jobs(2);
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(INFO_LOG_BYTES);
    options.set_keep_log_file_num(INFO_LOGS);
    options
}

/// One descriptor for each of `names`, ours or not.
pub(crate) fn families<'a>(
    names: impl IntoIterator<Item = &'a str>,
) -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(CACHE_BYTES);
    let family = |name: &str| {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&cache);
        // Most looks for a key or a workflow are for one that is not there.
        if name == keys::KEYS || name == keys::WORKFLOWS {
            table.set_bloom_filter(10.0, false);
        }
        let mut options = Options::default();
        options.set_block_based_table_factory(&table);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_write_buffer_size(match name {
            keys::RECORDS => RECORDS_BUFFER_BYTES,
            _ => OTHER_BUFFER_BYTES,
        });
        ColumnFamilyDescriptor::new(name, options)
    };
    names.into_iter().map(family).collect()
}

pub(crate) fn write() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

pub(crate) fn read() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_verify_checksums(true);
    options
}
