#include "schedule.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <string>
#include <thread>

#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "statistics.hpp"

namespace gallery {
namespace {

/// What standard error shows of the run: a bar on a terminal, a line per finished experiment elsewhere too.
class progress {
public:
    progress(std::size_t total, std::size_t stored) : total_(total), done_(stored) {
        if (stored > 0) fmt::print(stderr, "{} of {} experiments are stored already\n", stored, total);
        if (terminal_) ticker_ = std::jthread([this](std::stop_token stop) { tick(stop); });
    }
    progress(progress const&) = delete;
    progress& operator=(progress const&) = delete;

    ~progress() {
        if (!terminal_) return;
        ticker_.request_stop();
        ticker_.join();
        fmt::print(stderr, "\r\033[K");
    }

    void started(std::string const& name) {
        std::lock_guard const lock(mutex_);
        running_.push_back(name);
        show();
    }

    void finished(result const& of) {
        std::lock_guard const lock(mutex_);
        running_.erase(std::find(running_.begin(), running_.end(), of.experiment.name));
        ++done_;
        auto const verdict = of.failed() ? "failed: " + of.error : of.in_band() ? "in band" : "out of band";
        fmt::print(stderr, "{}[{}/{}] {}: {}\n", terminal_ ? "\r\033[K" : "", done_, total_, of.experiment.name,
                   verdict);
        show();
    }

private:
    void tick(std::stop_token stop) {
        std::unique_lock lock(mutex_);
        while (!stop.stop_requested()) {
            show();
            wake_.wait_for(lock, stop, std::chrono::milliseconds(500), [] { return false; });
        }
    }

    void show() const {
        if (!terminal_) return;
        constexpr std::size_t width = 24;
        auto const filled = total_ ? width * done_ / total_ : width;
        auto const seconds =
            std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start_).count();
        auto line = fmt::format("[{}{}] {}/{} {}:{:02}", std::string(filled, '#'), std::string(width - filled, '.'),
                                done_, total_, seconds / 60, seconds % 60);
        for (auto const& name : running_) line += "  " + name;
        ::winsize window{};
        if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1)
            line.resize(std::min<std::size_t>(line.size(), window.ws_col - 1u)); // a wrapped line cannot be drawn over
        fmt::print(stderr, "\r\033[K{}", line);
        std::fflush(stderr);
    }

    bool const terminal_ = ::isatty(STDERR_FILENO) == 1;
    std::chrono::steady_clock::time_point const start_ = std::chrono::steady_clock::now();
    std::size_t total_;
    std::size_t done_;
    std::vector<std::string> running_{};
    std::mutex mutex_{};
    std::condition_variable_any wake_{};
    std::jthread ticker_{}; // the last member: it uses the others
};

} // namespace

void run_all(std::vector<result>& results, result_store const& store, std::size_t threads) {
    std::vector<result*> pending;
    for (auto& r : results)
        if (!r.finished) pending.push_back(&r);
    auto const workers = std::min(std::max<std::size_t>(threads, 1), pending.size());
    progress shown(results.size(), results.size() - pending.size());
    std::atomic<std::size_t> next = 0;
    auto const work = [&] {
        for (std::size_t taken = next++; taken < pending.size(); taken = next++) {
            auto& r = *pending[taken];
            shown.started(r.experiment.name);
            r.settings.threads = std::max<std::size_t>(threads / workers, 1);
            try {
                r.outcome = r.experiment.run(r.settings);
                check(r.outcome);
                r.outcome = store.save(r);
            } catch (std::exception const& error) {
                r.error = *error.what() ? error.what() : "an exception without a message";
            } catch (...) {
                r.error = "an exception that is not a std::exception";
            }
            if (r.failed()) r.outcome = {};
            r.finished = true;
            shown.finished(r);
        }
    };
    std::vector<std::jthread> pool;
    for (std::size_t k = 0; k < workers; ++k) pool.emplace_back(work);
}

} // namespace gallery
