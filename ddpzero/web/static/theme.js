// Light or dark, before anything is painted: as the system has it, unless the person has switched.
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

function chooseTheme() {
  const stored = localStorage.getItem("theme");
  const isChosen = stored === "light" || stored === "dark";
  document.documentElement.dataset.theme = isChosen ? stored : systemIsDark.matches ? "dark" : "light";
  dispatchEvent(new Event("theme"));
}

chooseTheme();
systemIsDark.addEventListener("change", chooseTheme);
