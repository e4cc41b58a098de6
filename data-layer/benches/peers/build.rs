//! Links the system's RocksDB (Debian: librocksdb-dev); `ROCKSDB_LIB_DIR` names another folder that holds `librocksdb.so`.

fn main() {
    println!("cargo:rerun-if-env-changed=ROCKSDB_LIB_DIR");
    if let Ok(folder) = std::env::var("ROCKSDB_LIB_DIR") {
        println!("cargo:rustc-link-search=native={folder}");
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
    println!("cargo:rustc-link-lib=dylib=rocksdb");
}
