#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace gallery {

/// Writes a file so that its name never stands for a part of it: to a neighbour `<file>.partial`, synced, then renamed.
/// Throws std::runtime_error with the system's reason.
void write_atomically(std::filesystem::path const& file, std::string_view content);

/// The folder a run writes to, created if need be and locked: a second run on it is refused with input_error. What a
/// killed run left half-written is removed.
class output_folder {
public:
    explicit output_folder(std::filesystem::path const& root);
    output_folder(output_folder const&) = delete;
    output_folder& operator=(output_folder const&) = delete;
    ~output_folder();

    std::filesystem::path const& root() const { return root_; }
    std::filesystem::path results() const { return root_ / "results"; }
    std::filesystem::path plots() const { return root_ / "plots"; }

    /// Removes from results/ and plots/ the files `<experiment>.*` that are not among `kept` (paths below the root).
    void remove_others(std::string_view experiment, std::vector<std::filesystem::path> const& kept) const;

private:
    std::filesystem::path root_;
    int lock_ = -1;
};

struct process_result {
    int status = 0; ///< exit status, or 128 + signal
    std::string output{};
    std::string errors{};
};

/// Runs a program found in PATH and collects what it writes. Throws std::runtime_error if it cannot be started.
process_result run_process(std::vector<std::string> const& arguments);

/// Whether PATH leads to an executable of this name.
bool is_installed(std::string const& program);

/// A number that changes when this program or a file directly in `data` does: FNV-1a over their bytes, in hexadecimal.
std::string fingerprint(std::filesystem::path const& data);

} // namespace gallery
