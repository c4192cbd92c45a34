// SPDX-License-Identifier: Apache-2.0
// pando completion bash|zsh: a completion script, made from the very descriptions that the parser
// uses.
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "tools/cluster/outcome.h"
#include "tools/pando/command.h"

namespace pando::cli {
namespace {

std::string words_of(const CLI::App& command) {
  std::string out;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_snames()) out += " -" + name;
    for (const std::string& name : option->get_lnames()) out += " --" + name;
  }
  return out.empty() ? out : out.substr(1);
}

std::vector<const CLI::App*> shown_commands(const CLI::App& app) {
  std::vector<const CLI::App*> out;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!command->get_group().empty()) out.push_back(command);
  }
  return out;
}

std::string bash_script(const CLI::App& app) {
  std::string names, cases;
  for (const CLI::App* command : shown_commands(app)) {
    names += (names.empty() ? "" : " ") + command->get_name();
    cases += "    " + command->get_name() + ") options=\"" + words_of(*command) + "\" ;;\n";
  }
  return "# bash completion of pando; use it with: source <(pando completion bash)\n"
         "_pando() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} options=\"\"\n"
         "  if ((COMP_CWORD == 1)); then\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"" +
         names +
         " --help --version\" -- \"$current\")\n"
         "    return\n"
         "  fi\n"
         "  case ${COMP_WORDS[1]} in\n" +
         cases +
         "  esac\n"
         "  if [[ $current == -* ]]; then\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$current\")\n"
         "  else\n"
         "    mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
         "  fi\n"
         "}\n"
         "complete -o filenames -F _pando pando\n";
}

std::string zsh_quoted(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out;
}

std::string zsh_script(const CLI::App& app) {
  std::string names, cases;
  for (const CLI::App* command : shown_commands(app)) {
    names += "    '" + command->get_name() + ":" + zsh_quoted(command->get_description()) + "'\n";
    cases += "    " + command->get_name() + ") compadd -- " + words_of(*command) + " ;;\n";
  }
  return "#compdef pando\n"
         "# zsh completion of pando; use it with: source <(pando completion zsh)\n"
         "_pando() {\n"
         "  local -a commands=(\n" +
         names +
         "  )\n"
         "  if ((CURRENT == 2)); then _describe command commands; return; fi\n"
         "  if [[ ${words[CURRENT]} != -* ]]; then _files; return; fi\n"
         "  case ${words[2]} in\n" +
         cases +
         "  esac\n"
         "}\n"
         "compdef _pando pando\n";
}

}  // namespace

void add_completion(CLI::App& app, int& exit_code) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "print a completion script: bash or zsh");
  command->add_option("SHELL", *shell, "bash or zsh")->required();
  command->callback([shell, &app, &exit_code] {
    if (*shell != "bash" && *shell != "zsh")
      throw UserError("completion: '" + *shell + "' is not known; use bash or zsh");
    std::fputs((*shell == "bash" ? bash_script(app) : zsh_script(app)).c_str(), stdout);
    exit_code = cluster::kExitFine;
  });
}

}  // namespace pando::cli
