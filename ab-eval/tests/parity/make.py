"""Makes the parity case: lists, truth, scored rows, and what public tools say of them. Run once; the files are checked in.

pip install ranx scikit-learn pandas pyarrow
"""
import json
import numpy as np
import ranx
import sklearn
from sklearn.metrics import log_loss, ndcg_score, roc_auc_score

rng = np.random.default_rng(20261120)
users, items, catalogue, depth = [f"u{n:02}" for n in range(40)], [f"i{n:02}" for n in range(60)], 64, 25
popularity = 1 / np.arange(1, 61) ** 0.7
qrels, run, base = {}, {}, {}
for n, user in enumerate(users):
    taken = rng.choice(items, size=1 + rng.integers(0, 14), replace=False, p=popularity / popularity.sum())
    qrels[user] = {i: 1 for i in taken}
    for lists, noise in ((run, 0.6), (base, 1.5)):
        score = {i: popularity[k] + noise * rng.normal() + (0.6 if i in taken else 0) for k, i in enumerate(items)}
        best = sorted(score, key=lambda i: -score[i])[: depth - (n % 5) * 4]
        lists[user] = {i: round(float(score[i]), 6) for i in best}
for user in users[-2:]:
    del run[user]

def write(name, lists):
    with open(name, "w") as out:
        out.write("user,item,score\n")
        for user, row in lists.items():
            for item, score in row.items():
                out.write(f"{user},{item},{score}\n")

write("recs.csv", run)
write("baseline.csv", base)
with open("truth.inter", "w") as out:
    out.write("user_id:token\titem_id:token\n")
    for user, row in qrels.items():
        for item in row:
            out.write(f"{user}\t{item}\n")

ks = (5, 10, 20)
names = [f"{m}@{k}" for m in ("recall", "ndcg", "map", "mrr", "hit_rate") for k in ks]
def judge(lists):
    full = {u: lists.get(u) or {"nothing": 0.0} for u in qrels}
    out = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(full), names)
    pool = items + [f"x{n}" for n in range(catalogue - len(items))]
    aucs = []
    for u, taken in qrels.items():
        listed = lists.get(u, {})
        place = {i: -p for p, i in enumerate(sorted(listed, key=lambda i: -listed[i]))}
        aucs.append(roc_auc_score([i in taken for i in pool], [place.get(i, -1000) for i in pool]))
    out["auc"] = np.mean(aucs)
    for k in ks:
        counts = np.zeros(catalogue)
        for row in lists.values():
            for i in sorted(row, key=lambda i: -row[i])[:k]:
                counts[items.index(i)] += 1
        out[f"coverage@{k}"] = np.count_nonzero(counts) / catalogue
        # Half the mean absolute difference over the mean: the definition, not the formula under test.
        out[f"gini@{k}"] = np.abs(counts[:, None] - counts[None, :]).mean() / 2 / counts.mean()
    return {name: float(value) for name, value in out.items()}

rows = []
for slate in range(60):
    user = f"u{slate % 17:02}"
    level = -1 + 0.5 * rng.normal()
    for _ in range(4 + rng.integers(0, 12)):
        logit = level + rng.normal()
        label = int(rng.random() < 1 / (1 + np.exp(-logit)))
        score = round(float(1 / (1 + np.exp(-(1.3 * logit + 0.3 + 0.4 * rng.normal())))), 6)
        rows.append((label, score, user, f"s{slate:02}", round(float(0.5 + rng.random()), 3)))
with open("scored.csv", "w") as out:
    out.write("label,score,user,slate,weight\n")
    for row in rows:
        out.write(",".join(map(str, row)) + "\n")
y, s, w = (np.array([r[n] for r in rows]) for n in (0, 1, 4))
who, slate = (np.array([r[n] for r in rows]) for n in (2, 3))
def both(keys):
    return [m for m in (keys == k for k in np.unique(keys)) if 0 < y[m].sum() < m.sum()]
scored = {"auc": roc_auc_score(y, s, sample_weight=w), "log_loss": log_loss(y, s, sample_weight=w)}
scored["ne"] = scored["log_loss"] / log_loss(y, np.full(len(y), np.average(y, weights=w)), sample_weight=w)
mine = both(who)
scored["gauc"] = np.average([roc_auc_score(y[m], s[m], sample_weight=w[m]) for m in mine], weights=[w[m].sum() for m in mine])
slates = both(slate)
for k in (5, 10):
    scored[f"ndcg@{k}"] = np.mean([ndcg_score([y[m]], [s[m]], k=k) for m in slates])
ranked = {str(n): m for n, m in enumerate(slates)}
docs = lambda v: {q: {f"d{d}": float(x) for d, x in enumerate(v[m])} for q, m in ranked.items()}
truth = {q: {d: int(x) for d, x in row.items() if x} for q, row in docs(y).items()}
scored["mrr"] = ranx.evaluate(ranx.Qrels(truth), ranx.Run(docs(s)), "mrr")
edges = np.linspace(0, 1, 16)
bins = np.clip(np.digitize(s, edges, right=True), 1, 15)
scored["ece"] = sum(
    w[bins == b].sum() / w.sum() * abs(np.average(s[bins == b], weights=w[bins == b]) - np.average(y[bins == b], weights=w[bins == b]))
    for b in np.unique(bins))
expected = {
    "tools": {"ranx": "1.9.1" if not hasattr(ranx, "__version__") else ranx.__version__, "scikit-learn": sklearn.__version__, "numpy": np.__version__},
    "catalogue": catalogue,
    "recs": judge(run), "baseline": judge(base),
    "scored": {name: float(v) for name, v in scored.items()},
}
json.dump(expected, open("expected.json", "w"), indent=1)
