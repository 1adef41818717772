// The frame of the page: which view is shown, light and dark, and the token.

import { get, post } from "./api.js";
import { count, icon, make } from "./dom.js";
import { identifyView } from "./identify.js";
import { libraryView } from "./library.js";
import { reviewView } from "./review.js";
import { setlistView } from "./setlist.js";

const VIEWS = { identify: identifyView, setlist: setlistView, library: libraryView, review: reviewView };
const TITLES = { identify: "Identify", setlist: "Setlist", library: "Library", review: "Review" };
const main = document.getElementById("main");
let leave = () => {};

/** Show the view that the address names. */
function show() {
  const [, name = "identify", rest = ""] = location.hash.split("/");
  const chosen = VIEWS[name] ? name : "identify";
  leave();
  for (const link of document.querySelectorAll(".top nav a")) {
    if (link.hash === `#/${chosen}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[chosen]} · ByteCover`;
  main.replaceChildren();
  leave = VIEWS[chosen](main, decodeURIComponent(rest)) ?? (() => {});
}

async function tellAbout() {
  const about = await get("api/about");
  document.getElementById("about").textContent =
    `${about.catalogue}: ${count(about.recordings, "recording")} of ${count(about.works, "work")}`;
}

/** Ask for the token, then go on. */
function askForToken() {
  leave();
  leave = () => {};
  const field = make("input", { type: "password", autocomplete: "current-password", id: "token", required: true });
  const problem = make("p.problem.hidden", { role: "alert" });
  const form = make(
    "form.card.stack",
    {
      on: {
        async submit(event) {
          event.preventDefault();
          try {
            await post("api/session", { token: field.value });
            start();
          } catch (error) {
            problem.textContent = error.message;
            problem.classList.remove("hidden");
            field.select();
          }
        },
      },
    },
    make("h1", {}, "This server needs a token"),
    make("label", { for: "token" }, "The person who runs it has the token."),
    field,
    problem,
    make("div", {}, make("button.main", {}, "Go on")),
  );
  main.replaceChildren(form);
  field.focus();
}

function setUpTheme() {
  const button = document.querySelector(".theme");
  button.append(icon("theme"));
  const root = document.documentElement;
  const kept = localStorage.getItem("theme");
  if (kept) root.dataset.theme = kept;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  button.addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
    root.dataset.theme = isDark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
    dispatchEvent(new Event("themechange"));
  });
  dark.addEventListener("change", () => dispatchEvent(new Event("themechange")));
}

async function start() {
  try {
    await tellAbout();
    show();
  } catch (error) {
    if (error.status !== 401) main.replaceChildren(make("p.problem", { role: "alert" }, error.message));
  }
}

setUpTheme();
// Its address is none of a view's.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", show);
addEventListener("locked", askForToken);
addEventListener("librarychange", () => tellAbout().catch(() => {}));
start();
