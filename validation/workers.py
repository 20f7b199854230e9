"""The same function on many jobs, on all cores.

Fresh interpreters of our own: they need no ``if __name__ == "__main__"`` in the user's script, work in notebooks,
and copy neither locks nor threads of this process, as forked ones would.
"""

import os
import pickle
import queue
import subprocess
import sys
import threading
import time

_COMMAND = "from meanfield.validation.workers import serve; serve()"
#: One thread per process: together they fill the cores.
_THREADS = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

# Seconds of work left, as the first jobs let expect, from which on more processes are worth their start.
_WORTH = 4.0


def cores():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def over(function, shared, jobs, workers=None, done=None):
    """``[function(shared, job) for job in jobs]``, the jobs spread over processes.

    Parameters
    ----------
    function : callable
        At the top level of an importable module.
    shared, jobs
        Can be pickled; ``shared`` goes to each process once.
    workers : int, optional
        Number of processes; by default one per core. What takes less than a few seconds is done by this one alone.
    done : callable, optional
        Called without arguments after each job.

    Raises
    ------
    Exception
        The first one that ``function`` raises. RuntimeError when a process dies.
    """
    jobs, done = list(jobs), done or (lambda: None)
    workers, results = min(workers or cores(), len(jobs)), []
    alone, start = workers < 2 or not sys.executable, time.perf_counter()
    for k, job in enumerate(jobs):
        if k and not alone and (time.perf_counter() - start) / k * (len(jobs) - k) > _WORTH:
            return results + _Pool(function, shared, jobs[k:], done).run(workers)
        results.append(function(shared, job))
        done()
    return results


class _Pool:
    def __init__(self, function, shared, jobs, done):
        self.opening = pickle.dumps((sys.path, pickle.dumps((function, shared))))
        self.jobs, self.done = jobs, done
        self.waiting = queue.SimpleQueue()
        for k in range(len(jobs)):
            self.waiting.put(k)
        self.results, self.failure, self.lock = [None] * len(jobs), None, threading.Lock()

    def run(self, workers):
        processes = [_start() for _ in range(workers)]
        threads = [threading.Thread(target=self._feed, args=(p,), daemon=True) for p in processes]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)  # so that Ctrl-C is heard
        finally:
            for process in processes:
                process.kill()
                process.communicate()
        if self.failure is not None:
            raise self.failure
        return self.results

    def _feed(self, process):
        try:
            process.stdin.write(self.opening)
            while self.failure is None:
                try:
                    k = self.waiting.get_nowait()
                except queue.Empty:
                    return
                pickle.dump(self.jobs[k], process.stdin)
                process.stdin.flush()
                good, result = pickle.load(process.stdout)
                if not good:
                    raise result
                self.results[k] = result
                with self.lock:
                    self.done()
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            self._fail(RuntimeError("a worker process died, out of memory perhaps: use workers=1, or smaller networks"))
        except BaseException as error:
            self._fail(error)

    def _fail(self, error):
        with self.lock:
            self.failure = self.failure or error


def _start():
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **_THREADS}
    )


def serve():
    """What a process does: jobs come in on stdin, results go out on stdout, as pickles of our own making."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed must not mix with the results
    path, opening = pickle.load(source)
    sys.path[:] = path
    function, shared = pickle.loads(opening)
    while True:
        try:
            job = pickle.load(source)
        except EOFError:
            return
        try:
            answer = True, function(shared, job)
        except Exception as error:
            answer = False, error
        pickle.dump(answer, sink)
        sink.flush()
