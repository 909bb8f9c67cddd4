#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Find the mutations of src/ that no quick test notices.

    run.py [--sample N] [--seed N] [--room NAME] [--jobs N] BUILD

BUILD holds what the makefile has made: copy/mutations.json, unit/test_* and asan/test_*, programs with all mutations
built in (see mutate.py). What judges a mutation is the fast part of `make check`: each test of
conformance/unit/ by itself, those of other rooms' files only if they take less than half a second, in the
release build and for what survives that under ASan and UBSan. A test is run for a mutation only if it comes
past the mutated place, which is recorded first, without a mutation in force. A mutation is killed when a
test
    - fails, or ends by a signal,
    - takes four times as long as without it, and two seconds more: twice, while the machine is not so
      busy that the same test without a mutation takes half as long,
    - or leaves a process, or an object in /dev/shm, behind.
Tests run in a /dev/shm of their own.

A survivor is compiled by itself: if the object code is that of the original, it is no change at all and is
counted apart. Another one must be listed in equivalent.txt with the argument why no test can tell it from
the original; at most three of a hundred may be listed. The run fails if a survivor is not listed, or a
listed one was killed or does not exist any more, or the text that it stands for has changed.

Results stay in BUILD/results.json. A mutation is judged anew when its file of src/ has changed or the test
that killed it; a survivor meets only tests that it has not met, and those that have changed. So a run that
was interrupted goes on, and new tests cost little; a change of one file that alters the verdict on another
is seen only by a run that starts without results (rm -r build/mutation).
"""

import argparse
import collections
import ctypes
import glob
import hashlib
import json
import multiprocessing
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
EQUIVALENT = os.path.join(HERE, "equivalent.txt")
LISTED_AT_MOST = 0.03
# A test that takes longer (in seconds) judges only the mutations of its own room.
SLOW = 0.5
COMPILE = ["gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-w", "-fPIC", "-fvisibility=hidden", "-pthread", "-c"]

Test = collections.namedtuple("Test", "program name")



def label(test):
    return "%s:%s" % (os.path.basename(test.program), test.name)


# ---- Processes of a worker's own --------------------------------------------------------------------------

CLONE_NEWNS, MS_REC, MS_PRIVATE, PR_SET_CHILD_SUBREAPER = 0x20000, 0x4000, 1 << 18, 36
libc = ctypes.CDLL(None, use_errno=True)


def become_worker():
    """A /dev/shm of its own, and whatever its tests leave behind becomes its child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if libc.unshare(CLONE_NEWNS) != 0 or \
            libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0 or \
            libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"mode=1777,size=50%") != 0:
        raise OSError(ctypes.get_errno(), "no /dev/shm of its own")
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children():
    with open("/proc/self/task/%d/children" % os.getpid(), encoding="ascii") as stream:
        return [int(word) for word in stream.read().split()]


def reap():
    """Collect the dead; whether a child is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
        return True
    except ChildProcessError:
        return False


def end_children():
    while reap():
        for pid in children():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.001)


def run(command, environment, limit):
    """(what went wrong or None, seconds)"""
    begin = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    descriptor = os.pidfd_open(process.pid)
    ended = select.select([descriptor], [], [], limit)[0]
    os.close(descriptor)
    seconds = time.monotonic() - begin
    problem = None
    if not ended:
        problem = "time"
    elif process.wait() not in (0, 77):
        problem = "failed"
    elif reap():
        until = time.monotonic() + 1
        while reap() and time.monotonic() < until:
            time.sleep(0.01)
        if reap():
            problem = "process left"
    if problem is None and any(name.startswith(("srb_", "sem.")) for name in os.listdir("/dev/shm")):
        problem = "object left"
    if problem is not None:
        process.kill()
        end_children()
        process.wait()
        for entry in os.scandir("/dev/shm"):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)
    return problem, seconds


def sanitized_program(test):
    return test.program.replace("/unit/test_", "/asan/test_")


def environment_of(test):
    return {"SHMRPC_MUTATION_TEST": test.name}


def record(argument):
    """Run one test without a mutation. (test, what went wrong, seconds, numbers of mutations passed)"""
    test, count, build = argument
    file = os.path.join(os.path.abspath(build), "hits.%d" % os.getpid())
    for _ in range(3):
        with open(file, "wb") as stream:
            stream.truncate(count + 1)
        os.chmod(file, 0o666)
        problem, seconds = run([test.program], {**environment_of(test), "SHMRPC_MUTATION_HITS": file}, 120)
        if problem is None:
            # Once more, as a mutation is timed: what the recording costs is no part of it.
            problem, seconds = run([test.program], environment_of(test), 120)
        if problem is None:
            break
    else:
        return test, problem, [], []
    problem, sanitized = run([sanitized_program(test)], environment_of(test), 120)
    if problem is not None:
        return test, problem + " under sanitizers", [], []
    with open(file, "rb") as stream:
        hits = stream.read()
    os.unlink(file)
    return test, None, [seconds, sanitized], [i for i, hit in enumerate(hits) if hit]


# What killed the last mutations of the same function kills the next ones best.
killers = collections.Counter()
# {number of a mutation: [(test that comes past it, its seconds)]}
passing = {}


def meet(test, number, sanitized, seconds):
    """What goes wrong when the test meets the mutation, or None."""
    command = [sanitized_program(test) if sanitized else test.program]
    mutated = {**environment_of(test), "SHMRPC_MUTATION": str(number)}
    limit = 2 + 4 * seconds
    slow = 0
    for _ in range(5):
        problem, _ = run(command, mutated, limit)
        if problem != "time":
            return problem
        took = run(command, environment_of(test), limit)[1]
        slow += took < limit / 2
        if slow == 2:
            break
    return "time"


def judge(argument):
    """(id, what killed it or None, the test, labels of the tests that it has met, whether it changes no code)"""
    mutation, hint, met, build = argument
    place = (mutation["file"], mutation["function"])

    def worth(item):
        test, seconds = item
        score = 1 + 4 * killers[place + test] + killers[(mutation["file"],) + test]
        return (label(test) != hint, (seconds[0] + 0.004) / score)
    own = "test_" + os.path.splitext(mutation["file"])[0].split("_")[0]
    tests = [(test, seconds) for test, seconds in sorted(passing.get(mutation["number"], []), key=worth)
             if label(test) not in met and
             (seconds[0] <= SLOW or os.path.basename(test.program).startswith(own))]
    same = None
    for sanitized in (False, True):
        if sanitized and tests:
            same = same_code((mutation, build))[1]
            if same:
                break
        for test, seconds in tests:
            problem = meet(test, mutation["number"], sanitized, seconds[sanitized])
            if problem is not None:
                killers[place + test] += 1
                killers[(mutation["file"],) + test] += 1
                return mutation["id"], problem, label(test), [], None
        tests.sort(key=lambda item: item[1][1])
    return mutation["id"], None, None, [label(test) for test, _ in tests], same


# ---- What the compiler makes of it ------------------------------------------------------------------------

def object_code(source, replaced, directory):
    """The object code of one source file, where replaced is {header or source: text}."""
    os.makedirs(directory, exist_ok=True)
    for name, text in replaced.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as stream:
            stream.write(text)
    for name in os.listdir(os.path.join(ROOT, "src")):
        if name.endswith((".h", ".c")) and name not in replaced:
            target = os.path.join(directory, name)
            if not os.path.lexists(target):
                os.symlink(os.path.join(ROOT, "src", name), target)
    product = os.path.join(directory, "out.o")
    done = subprocess.run(COMPILE + [source, "-o", "out.o"], cwd=directory, capture_output=True, check=False)
    if done.returncode != 0:
        return None
    with open(product, "rb") as stream:
        return stream.read()


originals = {}


def same_code(argument):
    """(id, whether the object code of the mutation by itself is that of the original)"""
    mutation, directory = argument
    directory = os.path.join(directory, "same", str(os.getpid()))
    with open(os.path.join(ROOT, "src", mutation["file"]), encoding="utf-8") as stream:
        text = stream.read()
    old = text[mutation["start"]:mutation["end"]]
    new = mutation["new"] + "\n" * (old.count("\n") - mutation["new"].count("\n"))
    changed = text[:mutation["start"]] + new + text[mutation["end"]:]
    name = mutation["file"]
    sources = [name] if name.endswith(".c") else [
        os.path.basename(f) for f in glob.glob(os.path.join(ROOT, "src", "*.c"))
        if '#include "%s"' % name in open(f, encoding="utf-8").read()]
    same = True
    for source in sources:
        if (source, name) not in originals:
            originals[source, name] = object_code(source, {name: text}, directory)
        same = same and object_code(source, {name: changed}, directory) == originals[source, name]
    shutil.rmtree(directory)
    return mutation["id"], same


# ---- The list of the equivalent ---------------------------------------------------------------------------

def read_listed():
    """{id: [- before, + after, argument...]}: a line with the id, then indented lines."""
    listed, last = {}, None
    if not os.path.exists(EQUIVALENT):
        return listed
    with open(EQUIVALENT, encoding="utf-8") as stream:
        for line in stream:
            if not line.strip() or line.startswith("#"):
                continue
            if not line[0].isspace():
                last = line.strip()
                if last in listed:
                    sys.exit("mutation: %s is listed twice" % last)
                listed[last] = []
            else:
                listed[last].append(line.strip())
    return listed


def change(mutation):
    return ["- " + mutation["before"], "+ " + mutation["after"]]


# ---- The run ----------------------------------------------------------------------------------------------

def find_passing(tests, records):
    for test in tests:
        seconds, hits = records[label(test)]
        for number in hits:
            passing.setdefault(number, []).append((test, seconds))


def digest_of(*paths):
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as stream:
            digest.update(stream.read())
    return digest.hexdigest()[:20]


def find_tests(programs):
    for program in programs:
        listing = subprocess.run([os.path.abspath(program)], env={**os.environ, "SHMRPC_MUTATION_LIST": "1"}, cwd=ROOT,
                                 capture_output=True, encoding="ascii", check=True, timeout=60)
        names = listing.stdout.split()
        if not names or len(set(names)) < len(names):
            sys.exit("mutation: %s lists no tests, or one twice" % program)
        for name in names:
            yield Test(os.path.abspath(program), name)


class Run:
    def __init__(self, options):
        self.options = options
        self.build = options.build
        with open(os.path.join(self.build, "copy", "mutations.json"), encoding="utf-8") as stream:
            self.mutations = json.load(stream)
        self.programs = sorted(p for p in glob.glob(os.path.join(self.build, "unit", "test_*"))
                               if os.access(p, os.X_OK) and not p.endswith((".d", ".o")))
        self.tests = list(find_tests(self.programs))
        unit = os.path.join(ROOT, "conformance", "unit")
        shared = sorted(p for p in glob.glob(os.path.join(unit, "*.[ch]"))
                        if not os.path.basename(p).startswith("test_"))
        digests = {p: digest_of(os.path.join(unit, os.path.basename(p) + ".c"), *shared) for p in self.programs}
        # What a test is by, and what the mutations of a file are by.
        self.tested = {label(t): digests[os.path.relpath(t.program)] for t in self.tests}
        self.mutated = {name: digest_of(os.path.join(ROOT, "src", name)) for name in
                        {m["file"] for m in self.mutations}}
        self.print = {os.path.basename(p): digest_of(os.path.join(self.build, "copy", "mutations.json"), p)
                      for p in self.programs}
        self.file = os.path.join(self.build, "results.json")
        self.results, self.records = {}, {}
        if os.path.exists(self.file):
            with open(self.file, encoding="utf-8") as stream:
                kept = json.load(stream)
            self.results = kept["results"]
            self.records = {name: record for name, record in kept["records"].items()
                            if self.print.get(name.split(":")[0], "") == kept["fingerprint"].get(name.split(":")[0])}
        self.saved = time.monotonic()

    def known(self, mutation):
        """What is known of it: whether that is all, the test that killed it once, tests it has met."""
        result = self.results.get(mutation["id"])
        if result is None:
            return False, None, {}
        same = result["file"] == self.mutated[mutation["file"]]
        if result["problem"] is not None:
            return same and self.tested.get(result["test"]) == result["by"], result["test"], {}
        met = {t: by for t, by in result["met"].items() if same and self.tested.get(t) == by}
        return False, None, met

    def save(self):
        with open(self.file + ".new", "w", encoding="utf-8") as stream:
            json.dump({"fingerprint": self.print, "results": self.results, "records": self.records}, stream)
        os.rename(self.file + ".new", self.file)
        self.saved = time.monotonic()

    def progress(self, text, force=False):
        now = time.monotonic()
        if not hasattr(self, "said") or now - self.said > (5 if sys.stdout.isatty() else 30) or force:
            print(text, flush=True)
            self.said = now

    def record(self, pool):
        wanted = [t for t in self.tests if label(t) not in self.records]
        if wanted:
            print("mutation: recording what %d tests come past" % len(wanted), flush=True)
        bad = []
        for test, problem, seconds, hits in pool.imap_unordered(record, [(t, len(self.mutations), self.build) for t in wanted]):
            if problem is not None:
                bad.append("%s: %s (%s)" % (os.path.basename(test.program), test.name, problem))
            else:
                self.records[label(test)] = [seconds, hits]
        self.save()
        if bad:
            sys.exit("mutation: without a mutation these do not pass:\n  " + "\n  ".join(bad))

    def chosen(self):
        chosen = self.mutations
        if self.options.room:
            rooms = self.options.room.split()
            chosen = [m for m in chosen if m["file"].rsplit(".", 1)[0] in rooms]
            if not chosen:
                sys.exit("mutation: no such room: %s" % self.options.room)
        if self.options.sample and self.options.sample < len(chosen):
            chosen = random.Random(self.options.seed).sample(chosen, self.options.sample)
            print("mutation: a sample of %d, SEED=%d repeats it" % (len(chosen), self.options.seed))
        return chosen

    def judge(self, pool, chosen):
        work, met_by, killed = [], {}, 0
        for m in chosen:
            whole, hint, met = self.known(m)
            met_by[m["id"]] = met
            if whole:
                killed += 1
            else:
                work.append((m, hint, set(met), self.build))
        done = len(chosen) - len(work)
        by_id = {m["id"]: m for m in chosen}
        # Neighbours go to the same worker one after the other, as they are killed by the same tests.
        for id, problem, test, met, same in pool.imap_unordered(judge, work, chunksize=4):
            done += 1
            old = self.results.get(id, {})
            file = self.mutated[by_id[id]["file"]]
            self.results[id] = {"file": file, "problem": problem}
            if problem is not None:
                killed += 1
                self.results[id].update(test=test, by=self.tested[test])
            else:
                met_by[id].update((t, self.tested[t]) for t in met)
                self.results[id].update(met=met_by[id], same=same if same is not None or old.get("file") != file else old.get("same"))
            self.progress("mutation: %d of %d judged, %d killed" % (done, len(chosen), killed))
            if time.monotonic() - self.saved > 20:
                self.save()
        wanted = [m for m in chosen if self.results[m["id"]]["problem"] is None and self.results[m["id"]]["same"] is None]
        for id, same in pool.imap_unordered(same_code, [(m, self.build) for m in wanted]):
            self.results[id]["same"] = same
        self.save()

    def report(self, chosen):
        by_id = {m["id"]: m for m in self.mutations}
        listed = read_listed()
        wrong = []
        counts = collections.Counter()
        rooms = collections.defaultdict(collections.Counter)
        survivors = []
        for m in chosen:
            result = self.results[m["id"]]
            problem = result["problem"]
            if problem is not None:
                kind = "killed"
                if m["id"] in listed:
                    wrong.append("%s is listed as equivalent, but %s kills it" % (m["id"], result["test"]))
            elif result["same"]:
                kind = "same"
            elif m["id"] in listed:
                kind = "listed"
            else:
                kind = "survived"
                survivors.append(m)
            counts[kind] += 1
            counts[problem] += 1
            rooms[m["file"]][kind] += 1
        for id, lines in listed.items():
            if id not in by_id:
                wrong.append("%s is listed as equivalent, but there is no such mutation" % id)
            elif lines[:2] != change(by_id[id]):
                wrong.append("%s is listed as equivalent, but is now:\n  %s" % (id, "\n  ".join(change(by_id[id]))))
            elif len(lines) < 3:
                wrong.append("%s is listed as equivalent without an argument" % id)
            elif self.results.get(id, {}).get("same"):
                wrong.append("%s is listed as equivalent, but needs no listing: same object code" % id)
        share = len(listed) / len(self.mutations)
        if share > LISTED_AT_MOST:
            wrong.append("%.1f %% are listed as equivalent, more than %.0f %%" % (100 * share, 100 * LISTED_AT_MOST))
        for m in sorted(survivors, key=lambda m: (m["file"], m["line"], m["number"])):
            reached = any(m["number"] in hits for _, hits in self.records.values())
            print("src/%s:%d: %s survives%s\n    %s\n  - %s\n  + %s" % (
                m["file"], m["line"], m["operator"], "" if reached else ", no test comes past it", m["id"], m["before"],
                m["after"]))
        for room in sorted(rooms):
            c = rooms[room]
            print("  %-16s %5d: %5d killed, %3d same object code, %3d listed, %3d survived" % (
                room, sum(c.values()), c["killed"], c["same"], c["listed"], c["survived"]))
        for line in wrong:
            print("mutation: " + line)
        print("mutation: %d mutants, %d killed (%d by time), %d same object code, %d listed equivalent (%.1f %%), "
              "%d survived" % (len(chosen), counts["killed"], counts["time"], counts["same"], counts["listed"],
                               100 * counts["listed"] / len(chosen), counts["survived"]))
        return 1 if wrong or survivors else 0


def main():
    parser = argparse.ArgumentParser(description="Find the mutations of src/ that no quick test notices.")
    parser.add_argument("--sample", type=lambda s: int(s or 0), default=0)
    parser.add_argument("--seed", type=lambda s: int(s or random.randrange(1 << 31)), default=None)
    parser.add_argument("--room", default="")
    parser.add_argument("--jobs", type=lambda s: int(s or 0), default=0)
    parser.add_argument("build")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.randrange(1 << 31)
    jobs = options.jobs or len(os.sched_getaffinity(0)) + 1
    # In a child, as it cannot be undone: a pool would make worker after worker.
    trial = multiprocessing.Process(target=become_worker)
    trial.start()
    trial.join()
    if trial.exitcode != 0:
        sys.exit("mutation: only root may give the tests a /dev/shm of their own")
    task = Run(options)
    chosen = task.chosen()
    with multiprocessing.Pool(jobs, become_worker) as pool:
        task.record(pool)
    # Workers that are made now know what the recording has found.
    find_passing(task.tests, task.records)
    with multiprocessing.Pool(jobs, become_worker) as pool:
        task.judge(pool, chosen)
    return task.report(chosen)


if __name__ == "__main__":
    sys.exit(main())
