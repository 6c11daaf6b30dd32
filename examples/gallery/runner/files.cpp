#include "files.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "input_error.hpp"

namespace gallery {
namespace {

constexpr std::string_view partial = ".partial";

[[noreturn]] void fail(std::string_view what, std::filesystem::path const& file) {
    throw std::runtime_error(fmt::format("cannot {} '{}': {}", what, file.string(), std::strerror(errno)));
}

struct descriptor {
    int number = -1;

    explicit descriptor(int opened = -1) : number(opened) {}
    descriptor(descriptor const&) = delete;
    descriptor& operator=(descriptor const&) = delete;
    ~descriptor() { close(); }

    int close() { return number < 0 ? 0 : ::close(std::exchange(number, -1)); }
};

} // namespace

void write_atomically(std::filesystem::path const& file, std::string_view content) {
    auto temporary = file;
    temporary += partial;
    descriptor target(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (target.number < 0) fail("write", temporary);
    while (!content.empty()) {
        auto const written = ::write(target.number, content.data(), content.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) fail("write", temporary);
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::fsync(target.number) != 0 || target.close() != 0) fail("write", temporary);
    if (::rename(temporary.c_str(), file.c_str()) != 0) fail("write", file);
}

output_folder::output_folder(std::filesystem::path const& root) : root_(root) {
    try {
        std::filesystem::create_directories(results());
        std::filesystem::create_directories(plots());
    } catch (std::filesystem::filesystem_error const& error) {
        throw input_error(fmt::format("cannot write to '{}': {}", root.string(), error.code().message()));
    }
    lock_ = ::open((root_ / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock_ < 0) throw input_error(fmt::format("cannot write to '{}': {}", root.string(), std::strerror(errno)));
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
        ::close(lock_);
        throw input_error(fmt::format("another run is writing to '{}'", root.string()));
    }
    for (auto const& folder : {root_, results(), plots()})
        for (auto const& entry : std::filesystem::directory_iterator(folder))
            if (entry.path().extension() == partial) std::filesystem::remove(entry.path());
}

output_folder::~output_folder() { ::close(lock_); }

void output_folder::remove_others(std::string_view experiment, std::vector<std::filesystem::path> const& kept) const {
    for (std::string const folder : {"results", "plots"})
        for (auto const& entry : std::filesystem::directory_iterator(root_ / folder)) {
            auto const name = entry.path().filename();
            if (name.string().starts_with(fmt::format("{}.", experiment)) &&
                std::find(kept.begin(), kept.end(), folder / name) == kept.end())
                std::filesystem::remove(entry.path());
        }
}

process_result run_process(std::vector<std::string> const& arguments) {
    std::array<descriptor, 2> reading;
    std::array<descriptor, 2> writing;
    for (std::size_t k = 0; k < 2; ++k) {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("run", arguments.front());
        reading[k].number = ends[0];
        writing[k].number = ends[1];
    }
    std::vector<char*> pointers;
    for (auto const& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, writing[0].number, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, writing[1].number, STDERR_FILENO);
    ::pid_t child = 0;
    errno = ::posix_spawnp(&child, pointers.front(), &actions, nullptr, pointers.data(), ::environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (errno != 0) fail("run", arguments.front());

    process_result result;
    std::array<std::string*, 2> const texts{&result.output, &result.errors};
    std::array<::pollfd, 2> waiting{};
    for (std::size_t k = 0; k < 2; ++k) {
        writing[k].close();
        waiting[k] = {.fd = reading[k].number, .events = POLLIN, .revents = 0};
    }
    std::array<char, 1 << 16> buffer;
    while (waiting[0].fd >= 0 || waiting[1].fd >= 0) {
        if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) fail("read from", arguments.front());
        for (std::size_t k = 0; k < 2; ++k) {
            if (waiting[k].fd < 0 || waiting[k].revents == 0) continue;
            auto const count = ::read(waiting[k].fd, buffer.data(), buffer.size());
            if (count > 0) texts[k]->append(buffer.data(), static_cast<std::size_t>(count));
            if (count == 0 || (count < 0 && errno != EINTR)) waiting[k].fd = -1; // poll passes over it from now on
        }
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

bool is_installed(std::string const& program) {
    auto const* const path = std::getenv("PATH");
    std::string_view rest = path ? path : "/usr/bin:/bin";
    for (;;) {
        auto const colon = rest.find(':');
        auto const file = std::filesystem::path(rest.substr(0, colon)) / program;
        std::error_code ignored;
        if (std::filesystem::is_regular_file(file, ignored) && ::access(file.c_str(), X_OK) == 0) return true;
        if (colon == std::string_view::npos) return false;
        rest.remove_prefix(colon + 1);
    }
}

std::string fingerprint(std::filesystem::path const& data) {
    std::uint64_t hash = 14695981039346656037u;
    auto const add = [&](std::string_view bytes) {
        for (char const byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211u;
    };
    add(read_text("/proc/self/exe"));
    std::vector<std::filesystem::path> files;
    std::error_code missing;
    for (auto const& entry : std::filesystem::directory_iterator(data, missing))
        if (entry.is_regular_file()) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (auto const& file : files) {
        add(file.filename().string());
        add(read_text(file));
    }
    return fmt::format("{:016x}", hash);
}

} // namespace gallery
