/**
 * What guessers try first. A password of fifteen characters is rarely in a list of leaked ones; what is, is a well-known
 * phrase, or short common ones in a row. So there are two lists, both as `coreOf` folds text: whole passwords, and pieces
 * that count for nothing when they are found inside a longer one.
 */
import { coreOf } from './password-core.model.ts'

const phrases = `
correcthorsebatterystaple, correcthorsebattery, thequickbrownfox, thequickbrownfoxjumps, thequickbrownfoxjumpsoverthelazydog,
iloveyouforever, iloveyousomuch, ilovemyfamily, ilovemychildren, ilovemyhusband, ilovemywife, ilovejesuschrist,
jesuslovesme, godisgoodallthetime, inthenameofgod, maytheforcebewithyou, tobeornottobe, tobeornottobethatisthequestion,
letmeinletmein, openthedoorplease, thisismypassword, thisisapassword, thisisasecret, mypasswordissecret, passwordispassword,
mynewpassword, yournewpassword, changethispassword, pleasechangeme, pleaseletmein, forgotmypassword, iforgotmypassword,
idontknowmypassword, nothingtoseehere, neverforgetthis, livelaughlove, livelaughlovealways, carpediem, onceuponatime,
onceuponatimetherewas, happybirthdaytoyou, twinkletwinklelittlestar, maryhadalittlelamb, humptydumpty,
supercalifragilisticexpialidocious, antidisestablishmentarianism, donaudampfschifffahrt, winteriscoming, hakunamatata,
iamthewalrus, bohemianrhapsody, stairwaytoheaven, highwaytohell, imagineallthepeople, letitbeletitbe, hereistheformula,
thetruthisoutthere, elementarymydearwatson, houstonwehaveaproblem, onesmallstepforman, ihaveadream, yeswecan,
makeamericagreatagain, manchesterunited, liverpoolfootballclub, realmadrid, barcelonafc, newyorkyankees, dallascowboys,
michaeljordan, cristianoronaldo, lionelmessi, harrypotter, lordoftherings, gameofthrones, starwars, pokemon,
qwertyuiopasdfghjkl, qwertyuiopasdfghjklzxcvbnm, qazwsxedcrfvtgb, onetwothreefourfive, onetwothreefour, abcdefghijklmnop,
doctorpatient, patientsafety, patientsafetyfirst, healthcareworker, hospitalpassword, clinicpassword, nursestation,
emergencyroom, intensivecareunit, takecareofyourself, anappleaday, anappleadaykeepsthedoctoraway, firstdonoharm,
summersummersummer, winterwinterwinter, springsummerautumnwinter, mondaytuesdaywednesday, januaryfebruarymarch
`

const words = `
password, passwort, passw, pass, passphrase, secret, geheim, geheimnis, login, signin, welcome, willkommen, bienvenue, hello,
hallo, bonjour, letmein, change, changeme, admin, administrator, root, user, username, guest, test, testing, demo, default, temp,
temporary, master, access, account, private, security, secure, system, server, computer, internet, windows, microsoft, google,
apple, facebook, instagram, amazon, netflix, office, qwerty, qwertz, azerty, qwertyuiop, asdf, asdfgh, asdfghjkl, zxcv, zxcvbn,
zxcvbnm, qazwsx, qaz, wsx, edc, iqaz, abc, abcd, abcdef, xyz, iloveyou, loveyou, love, lovely, sunshine, princess, dragon, monkey,
football, baseball, basketball, hockey, soccer, superman, batman, spiderman, pokemon, starwars, shadow, killer, freedom, whatever,
trustno, trustnoone, michael, jennifer, jordan, jessica, ashley, daniel, charlie, thomas, andrew, joshua, matthew, robert,
flower, cookie, chocolate, cheese, banana, orange, summer, sommer, winter, spring, autumn, herbst, january, february, march,
april, june, july, august, september, october, november, december, monday, tuesday, wednesday, thursday, friday, saturday,
sunday, hospital, clinic, klinik, doctor, arzt, nurse, patient, health, healthcare, medical, medicine, pharmacy, surgery,
emergency, ward, care, careteam, icu, sotto, voce, sottovoce, chat, please, jesus, christ, forever, family, baby, angel, hunter,
ranger, silver, golden, diamond, ginger, pepper, purple, yellow, green, black, white, blue, red
`

const digits = [
  '123',
  '1234',
  '12345',
  '123456',
  '1234567',
  '12345678',
  '123456789',
  '1234567890',
  '111',
  '000',
  '666',
  '777',
]
const years = Array.from({ length: 81 }, (_, index) => String(1950 + index))

const split = (list: string) => list.split(',').map((word) => coreOf(word))

export const commonPasswords: ReadonlySet<string> = new Set(split(phrases))
export const commonWords: readonly string[] = [...new Set([...split(words), ...[...digits, ...years].map(coreOf)])]
