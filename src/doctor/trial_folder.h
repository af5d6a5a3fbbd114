#pragma once

#include <string>

namespace cellar::doctor {

// A new folder in `place`, removed with all in it by the destructor. Throws Error.
class TrialFolder {
 public:
  explicit TrialFolder(const std::string& place);
  ~TrialFolder();
  TrialFolder(const TrialFolder&) = delete;
  TrialFolder& operator=(const TrialFolder&) = delete;

  const std::string& path() const noexcept { return path_; }
  // A new folder in it.
  std::string folder(const std::string& name) const;

 private:
  std::string path_;
};

}  // namespace cellar::doctor
