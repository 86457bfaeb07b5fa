# Completion of ecsx for PowerShell. What it knows it asks `ecsx __complete`.
Register-ArgumentCompleter -Native -CommandName ecsx -ScriptBlock {
    param($current, $line, $cursor)
    # A word in quotes is asked for without them.
    $words = @($line.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursor } |
        ForEach-Object { if ($_.Value -is [string]) { $_.Value } else { "$_" } })
    $current = "$current" -replace '^[''"]' -replace '[''"]$'
    $option = if ($current -match '^-[^=]*=') { $Matches[0] } else { '' }
    # Before 7.3 an empty argument to a program had to be spelled out.
    $legacy = -not $PSNativeCommandArgumentPassing -or $PSNativeCommandArgumentPassing -eq 'Legacy'
    $asked = if ($current -ne '') { $current } elseif ($legacy) { '""' } else { '' }
    foreach ($answer in (& ecsx __complete @words $asked 2>$null)) {
        if ($answer -match '^:\d+$') { continue }
        $value, $help = $answer -split "`t", 2
        if (-not $help) { $help = $value }
        # PowerShell puts it on the line as it is: quote it, or it could say more than one word.
        $word = "$option$value"
        if ($word -notmatch '^[\w./:=+%-][\w./:=+%@-]*$') { $word = "'" + $word.Replace("'", "''") + "'" }
        [System.Management.Automation.CompletionResult]::new($word, $value, 'ParameterValue', $help)
    }
}
