"""XXH3-64 in plain Python, after the specification of xxHash (doc/xxhash_spec.md in its repository). Slow, short, and without a
dependency: for reading small files in tests, not for anything that hurries."""

MASK = (1 << 64) - 1
PRIME32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
PRIME64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
PRIME_MX1, PRIME_MX2 = 0x165667919E3779F9, 0x9FB21C651E98DF25
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)


def u32(data, at):
    return int.from_bytes(data[at : at + 4], "little")


def u64(data, at):
    return int.from_bytes(data[at : at + 8], "little")


def fold(a, b):
    product = a * b
    return (product ^ product >> 64) & MASK


def swap(number, size):
    return int.from_bytes(number.to_bytes(size, "little"), "big")


def rotate(number, by):
    return (number << by | number >> (64 - by)) & MASK


def avalanche(h):
    h = (h ^ h >> 37) * PRIME_MX1 & MASK
    return h ^ h >> 32


def avalanche_xxh64(h):
    h = (h ^ h >> 33) * PRIME64[1] & MASK
    h = (h ^ h >> 29) * PRIME64[2] & MASK
    return h ^ h >> 32


def mix16(data, at, secret, seed):
    low = u64(SECRET, secret) + seed & MASK
    high = u64(SECRET, secret + 8) - seed & MASK
    return fold(u64(data, at) ^ low, u64(data, at + 8) ^ high)


def to_16(data, seed):
    n = len(data)
    if n == 0:
        return avalanche_xxh64(seed ^ u64(SECRET, 56) ^ u64(SECRET, 64))
    if n < 4:
        combined = data[n - 1] | n << 8 | data[0] << 16 | data[n >> 1] << 24
        return avalanche_xxh64(combined ^ ((u32(SECRET, 0) ^ u32(SECRET, 4)) + seed & MASK))
    if n < 9:
        seed ^= swap(seed & 0xFFFFFFFF, 4) << 32
        keyed = (u64(SECRET, 8) ^ u64(SECRET, 16)) - seed & MASK
        keyed ^= u32(data, n - 4) + (u32(data, 0) << 32)
        keyed ^= rotate(keyed, 49) ^ rotate(keyed, 24)
        keyed = keyed * PRIME_MX2 & MASK
        keyed = (keyed ^ (keyed >> 35) + n) * PRIME_MX2 & MASK
        return keyed ^ keyed >> 28
    low = u64(data, 0) ^ ((u64(SECRET, 24) ^ u64(SECRET, 32)) + seed & MASK)
    high = u64(data, n - 8) ^ ((u64(SECRET, 40) ^ u64(SECRET, 48)) - seed & MASK)
    return avalanche(n + swap(low, 8) + high + fold(low, high) & MASK)


def to_240(data, seed):
    n = len(data)
    if n <= 128:
        h = n * PRIME64[0]
        for i in range((n - 1) // 32 + 1):
            h += mix16(data, i * 16, i * 32, seed) + mix16(data, n - i * 16 - 16, i * 32 + 16, seed)
        return avalanche(h & MASK)
    h = n * PRIME64[0] + sum(mix16(data, i * 16, i * 16, seed) for i in range(8))
    h = avalanche(h & MASK)
    h += sum(mix16(data, i * 16, (i - 8) * 16 + 3, seed) for i in range(8, n // 16))
    return avalanche(h + mix16(data, n - 16, 136 - 17, seed) & MASK)


def long(data, seed):
    secret = SECRET
    if seed:
        secret = b"".join(
            (u64(SECRET, at) + seed & MASK).to_bytes(8, "little") + (u64(SECRET, at + 8) - seed & MASK).to_bytes(8, "little")
            for at in range(0, 192, 16)
        )
    lanes = [PRIME32[2], *PRIME64[:4], PRIME32[1], PRIME64[4], PRIME32[0]]

    def stripe(at, key):
        for i in range(8):
            value = u64(data, at + i * 8)
            keyed = value ^ u64(secret, key + i * 8)
            lanes[i ^ 1] = lanes[i ^ 1] + value & MASK
            lanes[i] = lanes[i] + (keyed & 0xFFFFFFFF) * (keyed >> 32) & MASK

    stripes = (len(data) - 1) // 64
    for number in range(stripes):
        stripe(number * 64, number % 16 * 8)
        if number % 16 == 15:
            for i in range(8):
                lanes[i] = (lanes[i] ^ lanes[i] >> 47 ^ u64(secret, 128 + i * 8)) * PRIME32[0] & MASK
    stripe(len(data) - 64, 192 - 64 - 7)
    h = len(data) * PRIME64[0]
    for i in range(0, 8, 2):
        h += fold(lanes[i] ^ u64(secret, 11 + i * 8), lanes[i + 1] ^ u64(secret, 19 + i * 8))
    return avalanche(h & MASK)


def xxh3_64(data, seed=0):
    """The hash of bytes, 64 bits."""
    if len(data) <= 16:
        return to_16(data, seed)
    return to_240(data, seed) if len(data) <= 240 else long(data, seed)
