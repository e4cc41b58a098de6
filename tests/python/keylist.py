"""Reads a key-list file, written from docs/formats.md alone: `python3 keylist.py FILE` checks every sum and prints all keys as JSON,
`python3 keylist.py FILE KEY…` looks these keys up. Scores and vectors are printed as the bits of their f32, so that nothing is lost
on the way. Standard library only; for tests, not for speed."""

import json
import struct
import sys

from xxh3 import u32, u64, xxh3_64

MASK = (1 << 64) - 1
BLOCK = 64 << 10
NAMES = {1: ("records", "index", "dictionary", "statistics"),
         2: ("records", "overflow", "index", "parts", "dictionary", "statistics", "blocks")}
TAKEN, GOES_ON, ELSEWHERE, HAS_VECTOR = 1 << 24, 1 << 25, 1 << 26, 1 << 29


class Damaged(Exception):
    pass


def must(truth, what):
    if not truth:
        raise Damaged(what)


def mulhi(a, b):
    return a * b >> 64


def bits(number):
    return struct.unpack("<I", struct.pack("<f", number))[0]


def f32(number):
    """Rounds to 32 bits."""
    return struct.unpack("<f", struct.pack("<f", number))[0]


class File:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.bytes = data = file.read()
        must(data[:8] == b"WEIRKL\r\n", "not a key-list file")
        self.version = u32(data, 8)
        must(self.version in NAMES, f"version {self.version}")
        must(u32(data, 12) == 0x01020304, "another order of bytes")
        must(u64(data, 16) == len(data), "the file has another length than it says")
        must(u64(data, 4088) == xxh3_64(data[:4088]), "the sum of the header differs")
        self.numbers, self.exact, self.open = data[88] == 1, data[89] == 1, self.version == 1 or data[90] == 1
        self.bits, self.stride, self.parts, self.width = data[91], u32(data, 92), u32(data, 96), u32(data, 100)
        if self.version == 1:
            self.bits, self.width = 32, 0
        self.seed, self.buckets = u64(data, 40), u64(data, 64 if self.version == 1 else 120)
        self.at, self.length, self.sums = {}, {}, {}
        for row, name in enumerate(NAMES[self.version]):
            place = 1024 + row * 32
            self.at[name], self.length[name], self.sums[name] = u64(data, place), u64(data, place + 8), u64(data, place + 16)
        self.items = self.dictionary()

    def section(self, name):
        return self.bytes[self.at[name] : self.at[name] + self.length[name]]

    def check(self):
        """Every sum above those of records, lines and buckets."""
        summed = self.section("blocks") if self.version == 2 else b""
        for name in NAMES[self.version]:
            section = self.section(name)
            if self.version == 2 and name != "blocks":
                blocks = [xxh3_64(section[at : at + BLOCK]) for at in range(0, len(section), BLOCK)]
                section, summed = summed[: len(blocks) * 8], summed[len(blocks) * 8 :]
                must([u64(section, i * 8) for i in range(len(blocks))] == blocks, f"a block of {name} differs")
            must(xxh3_64(section) == self.sums[name] or not section, f"the sum of {name} differs")
        must(not any(summed), "more blocks than there are")

    def dictionary(self):
        section, count = self.section("dictionary"), u32(self.bytes, 72)
        ends = [u32(section, i * 4) for i in range(count + 1)]
        text = section[(count + 1) * 4 :]
        return [text[start:end].decode() for start, end in zip(ends, ends[1:])]

    # From a key to its record.

    def hash(self, key):
        raw = struct.pack("<Q", int(key)) if self.numbers else key.encode()
        if self.version == 1:
            return xxh3_64(raw, self.seed)
        if not self.numbers:
            return xxh3_64(raw)
        x = (int(key) ^ int(key) >> 30) * 0xBF58476D1CE4E5B9 & MASK
        y = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
        return y ^ y >> 31

    def find(self, key):
        """What the file has for a key, or None."""
        if self.numbers and not (key.isascii() and key.isdigit() and str(int(key)) == key and int(key) <= MASK):
            return None
        return self.find_open(key) if self.open else self.find_perfect(key)

    def find_perfect(self, key):
        hashed = self.hash(key)
        row = self.section("parts")[mulhi(hashed, self.parts) * 32 :][:32]
        first_slot, slots, first_line, buckets, seed = u64(row, 0), u32(row, 8), u32(row, 12), u32(row, 16), u32(row, 20)
        x = (hashed ^ hashed >> 32) * 0x9E3779B97F4A7C15 & MASK
        y = (x ^ x >> 29) * 0xBF58476D1CE4E5B9 & MASK
        mixed = y ^ y >> 32
        bucket = mulhi(mixed, buckets)
        number = first_line + bucket // 60
        line = self.section("index")[number * 64 :][:64]
        spread = (seed * 256 + line[bucket % 60]) * 0xD6E8FEB86659FD93 & MASK
        slot = first_slot + mulhi((mixed ^ spread) * 0xC2B2AE3D27D4EB4F & MASK, slots)
        found = self.record(slot)
        if found and found["key"] == key:
            return found
        must(u32(line, 60) == xxh3_64(line[:60]) & 0xFFFFFFFF ^ number, f"the sum of line {number} differs")
        return None

    def find_open(self, key):
        hashed = self.hash(key)
        number = mulhi(hashed, self.buckets)
        while True:
            bucket = self.section("index")[number * 64 :][:64]
            must(u64(bucket, 56) == xxh3_64(bucket[:56]) ^ (number if self.version == 2 else 0), f"the sum of bucket {number} differs")
            entries = [u64(bucket, i * 8) for i in range(7)]
            for entry in entries:
                if entry and entry >> 40 == hashed & 0xFFFFFF:
                    place = entry & (1 << 40) - 1
                    found = self.record_1(place * 8)[0] if self.version == 1 else self.record(place - 1)
                    if found and found["key"] == key:
                        return found
            if 0 in entries:
                return None
            number = (number + 1) % self.buckets

    # Records.

    def key(self, data, at):
        """The key at a place, and where it ends."""
        if self.numbers:
            return str(u64(data, at)), at + 8
        end = at + 2 + int.from_bytes(data[at : at + 2], "little")
        return data[at + 2 : end].decode(), end

    def items_of(self, data, at, count):
        number = int.from_bytes(data[at : at + (count * self.bits + 7) // 8], "little")
        return [self.items[number >> i * self.bits & (1 << self.bits) - 1] for i in range(count)]

    def scores_of(self, data, at, count, parameters):
        if self.exact:
            return list(struct.unpack_from(f"<{count}I", data, at))
        least, step = struct.unpack("<2f", parameters) if count else (0.0, 0.0)
        levels = struct.unpack_from(f"<{count}H", data, at)
        return [bits(f32(least + f32(step * level))) for level in levels]

    def places(self, data, at, count, parameters):
        """Items and scores that stand together, and where they end."""
        scores_at = at + (count * self.bits + 7) // 8
        scores = self.scores_of(data, scores_at, count, parameters)
        return list(zip(self.items_of(data, at, count), scores)), scores_at + count * (4 if self.exact else 2)

    def record(self, slot):
        """The record of a slot; None where it is free."""
        return self.record_at(self.section("records")[slot * self.stride :][: self.stride], slot & 0xFFFFFFFF)

    def overflow(self, pointer):
        """What a pointer's lower 40 bits point to, and the complement that its sum has."""
        place = pointer & (1 << 40) - 1
        return self.section("overflow")[place * 8 :], ~place & 0xFFFFFFFF

    def record_at(self, data, place):
        word = u32(data, 4)
        count, at = word & (1 << 21) - 1, 8

        def sound(end):
            must(u32(data, 0) == xxh3_64(data[4:end]) & 0xFFFFFFFF ^ place, f"the sum of the record at {place} differs")

        if not word & TAKEN:
            sound(8)
            return None
        if word & ELSEWHERE:
            sound(16)
            return self.record_at(*self.overflow(u64(data, 8)))
        key, at = self.key(data, at)
        head, pointer = count, None
        if word & GOES_ON:
            pointer, at = u64(data, at), at + 8
            head = pointer >> 40
        width = self.width if word & HAS_VECTOR else 0
        vector, at = list(struct.unpack_from(f"<{width}I", data, at)), at + width * 4
        parameters = b""
        if not self.exact and count:
            parameters, at = data[at : at + 8], at + 8
        places, end = self.places(data, at, head, parameters)
        sound(end)
        if pointer is not None:
            rest, place = self.overflow(pointer)
            more, end = self.places(rest, 8, count - head, parameters)
            must(u32(rest, 0) == xxh3_64(rest[4:end]) & 0xFFFFFFFF ^ place, "the sum of the rest of a list differs")
            must(u32(rest, 4) == count - head, "the rest of a list is that of another")
            places += more
        return {"key": key, "op": word >> 27 & 3, "list": places, "vector": vector}

    def record_1(self, at):
        """The record of version 1 at a byte of the file, and where the next one starts."""
        data = self.bytes[at : self.at["records"] + self.length["records"]]
        count = u32(data, 4)
        key, end = self.key(data, 8)
        end = -(-end // 4) * 4
        parameters = b""
        if not self.exact:
            parameters, end = data[end : end + 8], end + 8
        places, end = self.places(data, end, count, parameters)
        end = -(-end // 8) * 8
        must(u32(data, 0) == xxh3_64(data[4:end]) & 0xFFFFFFFF, f"the sum of the record at {at} differs")
        return {"key": key, "op": 0, "list": places, "vector": []}, at + end

    def all(self):
        """Every record that is there."""
        if self.version == 2:
            yield from filter(None, map(self.record, range(u64(self.bytes, 64))))
            return
        at = self.at["records"]
        for _ in range(u64(self.bytes, 48)):
            found, at = self.record_1(at)
            yield found


def main(path, keys):
    file = File(path)
    if not keys:
        file.check()
        keys = [found["key"] for found in file.all()]
    json.dump({key: file.find(key) for key in keys}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
