// Light or dark, before anything is painted: as the system has it, unless the person has switched.
const stored = localStorage.getItem("theme");
if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;
